#include "core/database/record.h"

#include "core/common/errors.h"

namespace vmz {
namespace {

// caffe2.proto: TensorProtos.protos = 1; of TensorProto the fields and data types below.
enum Field { kDataType = 2, kInt32Data = 4, kStringData = 6, kInt64Data = 10 };
enum DataType { kFloat = 1, kInt32 = 2, kString = 4, kInt64 = 10 };
enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Truncated {};

// A range of protobuf's wire format, read field by field. Throws Truncated for what is none.
class Wire {
 public:
  Wire(const char* begin, size_t count) : at_(begin), end_(begin + count) {}

  // Goes to the next field: its number, and its value in `number` or `bytes`. False at the end.
  bool next() {
    if (at_ == end_) {
      return false;
    }
    const uint64_t tag = varint();
    field = static_cast<uint32_t>(tag >> 3);
    type = static_cast<int>(tag & 7);
    if (tag >> 32 || field == 0) {
      throw Truncated();
    }
    switch (type) {
      case kVarint:
        number = varint();
        return true;
      case kFixed64:
        take(8);
        return true;
      case kFixed32:
        take(4);
        return true;
      case kBytes: {
        size = varint();
        bytes = take(size);
        return true;
      }
      default:  // groups, which no such message has
        throw Truncated();
    }
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const uint64_t byte = static_cast<unsigned char>(*take(1));
      value |= shift < 64 ? (byte & 127) << shift : 0;
      if (byte < 128) {
        return value;
      }
    }
    throw Truncated();
  }

  bool at_end() const {
    return at_ == end_;
  }

  uint32_t field = 0;
  int type = 0;
  uint64_t number = 0;
  const char* bytes = nullptr;
  uint64_t size = 0;

 private:
  const char* take(uint64_t count) {
    if (count > static_cast<uint64_t>(end_ - at_)) {
      throw Truncated();
    }
    at_ += count;
    return at_ - count;
  }

  const char* at_;
  const char* end_;
};

struct Tensor {
  uint64_t data_type = kFloat;
  std::vector<int64_t> int32s, int64s;
  const char* string = nullptr;
  size_t string_size = 0, strings = 0;
};

// Repeated numbers come one by one or packed together: both are read, as protobuf does.
void read_numbers(const Wire& field, std::vector<int64_t>* out) {
  if (field.type == kVarint) {
    out->push_back(static_cast<int64_t>(field.number));
  } else if (field.type == kBytes) {
    for (Wire packed(field.bytes, field.size); !packed.at_end();) {
      out->push_back(static_cast<int64_t>(packed.varint()));
    }
  }
}

Tensor read_tensor(const char* begin, size_t size) {
  Tensor tensor;
  for (Wire field(begin, size); field.next();) {
    if (field.field == kDataType && field.type == kVarint) {
      tensor.data_type = field.number;
    } else if (field.field == kInt32Data) {
      read_numbers(field, &tensor.int32s);
    } else if (field.field == kInt64Data) {
      read_numbers(field, &tensor.int64s);
    } else if (field.field == kStringData && field.type == kBytes) {
      tensor.string = field.bytes;
      tensor.string_size = field.size;
      ++tensor.strings;
    }
  }
  return tensor;
}

std::vector<Tensor> read_tensors(const char* value, size_t size) {
  std::vector<Tensor> tensors;
  try {
    for (Wire field(value, size); field.next();) {
      if (field.field == 1 && field.type == kBytes) {
        tensors.push_back(read_tensor(field.bytes, field.size));
      }
    }
  } catch (const Truncated&) {
    throw BadRecord("the record is truncated or is not a TensorProtos");
  }
  return tensors;
}

}  // namespace

Record parse_record(const char* value, size_t size) {
  if (size == 0) {
    throw BadRecord("the record is empty");
  }
  Record record;
  bool video = false;
  int int32_tensors = 0;
  for (const Tensor& tensor : read_tensors(value, size)) {
    if (tensor.data_type == kString && !video) {
      video = true;
      record.video = tensor.strings == 1 ? tensor.string : nullptr;
      record.video_size = tensor.string_size;
    } else if (tensor.data_type == kInt32) {
      ++int32_tensors;
      if (int32_tensors == 1) {
        record.labels.assign(tensor.int32s.begin(), tensor.int32s.end());
      } else if (int32_tensors == 2 && !tensor.int32s.empty()) {
        record.has_start_frame = true;
        record.start_frame = static_cast<int32_t>(tensor.int32s[0]);
      }
    } else if (tensor.data_type == kInt64 && !record.has_video_id && !tensor.int64s.empty()) {
      record.has_video_id = true;
      record.video_id = tensor.int64s[0];
    }
  }
  if (record.video == nullptr) {
    throw BadRecord("the record contains no video (a STRING tensor with one entry)");
  }
  if (record.labels.empty()) {
    throw BadRecord("the record contains no label (an INT32 tensor)");
  }
  return record;
}

}  // namespace vmz
