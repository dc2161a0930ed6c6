// Whether a file was cut off: it states more bytes than it has.
#pragma once

#include <cstdint>

#include "core/decoding/input.h"

namespace vmz {

// MP4 and MOV, AVI, Matroska and WebM; false for other files, whose structure does not say.
bool is_cut_off(const Input& input);

}  // namespace vmz
