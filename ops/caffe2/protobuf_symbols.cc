// The wheel compiles protobuf in and hides it. Its inlines in Caffe2's headers leave a few members undefined: they are
// instantiated here, from the headers of the same version, and hidden again by symbols.map.
#include <google/protobuf/repeated_field.h>

#include <cstdlib>

namespace google {
namespace protobuf {

template void RepeatedField<int64>::Reserve(int);
template int RepeatedPtrField<std::string>::size() const;
template const std::string& RepeatedPtrField<std::string>::Get(int) const;

// Reached with messages on an arena only, and Caffe2 has none.
void* Arena::AllocateAlignedNoHook(size_t) {
  std::abort();
}
void Arena::OnArenaAllocation(const std::type_info*, size_t) const {
  std::abort();
}

}  // namespace protobuf
}  // namespace google
