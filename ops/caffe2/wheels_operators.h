// Operators of ours that take the place of the wheel's, and use the wheel's own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "caffe2/core/operator.h"

namespace vmz {

using Creator = std::function<std::unique_ptr<caffe2::OperatorBase>(const caffe2::OperatorDef&, caffe2::Workspace*)>;
using CpuRegistry = std::remove_pointer<decltype(caffe2::CPUOperatorRegistry())>::type;
using Creators = std::unordered_map<std::string, CpuRegistry::Creator>;

// A registry forgets what is replaced in it, and does not say what is in it: an explicit instantiation may look.
struct CreatorsOfRegistry {
  using Member = Creators CpuRegistry::*;
  friend Member member_of(CreatorsOfRegistry);
};

template <class Tag, typename Tag::Member member>
struct Shown {
  friend typename Tag::Member member_of(Tag) {
    return member;
  }
};

template struct Shown<CreatorsOfRegistry, &CpuRegistry::registry_>;

// Registers Op before the wheel's operator of that name. Created by the wheel's: Op(definition, workspace, creator).
template <class Op>
struct InPlaceOfTheWheels {
  explicit InPlaceOfTheWheels(const char* name) {
    const auto& creators = caffe2::CPUOperatorRegistry()->*member_of(CreatorsOfRegistry());
    const auto found = creators.find(name);
    if (found == creators.end()) {
      return;  // another build of Caffe2, without this operator
    }
    const Creator wheels = found->second;
    caffe2::CPUOperatorRegistry()->Register(
        name,
        [wheels](const caffe2::OperatorDef& definition, caffe2::Workspace* workspace) {
          return std::unique_ptr<caffe2::OperatorBase>(new Op(definition, workspace, wheels));
        },
        c10::REGISTRY_PREFERRED);
  }
};

}  // namespace vmz
