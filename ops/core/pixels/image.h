// Images in place of videos (image_as_input), decoded by FFmpeg too.
#pragma once

#include <vector>

#include "core/decoding/decoding.h"
#include "core/sampling.h"

namespace vmz {

// RGB24 without gaps of an image, resized by area. Orientation tags are ignored, as they are in videos.
// Throws BadRecord with the reason for what is no image, or a damaged one.
std::vector<uint8_t> read_image(const VideoSource& source, Size size, Watch* watch);

}  // namespace vmz
