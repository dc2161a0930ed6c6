// What a video may be: one file that holds its pictures itself, in one of the containers listed in containers.cc.
//
// A playlist, a manifest or a text makes FFmpeg open other files, fetch addresses or listen to ports. Such files are
// told by their first bytes and refused by name; what FFmpeg still takes for another format than those listed it does
// not open. lib/vmz/video/frames/containers.py is the same for the Python reader: change both.
#pragma once

#include <string>

#include "core/decoding/input.h"

namespace vmz {

extern const char* const kFormats;      // FFmpeg's names
extern const char* const kNoProtocol;   // the name of none: nothing is opened but the bytes that we hand over
extern const char* const kOtherFormat;  // why a file of another format is not read
extern const char* const kElsewhere;    // why one whose pictures lie elsewhere is not read
extern const char* const kSoundElsewhere;
extern const char* const kPictures;  // handlers of an MP4's tracks
extern const char* const kSound;

// Why a file is not opened, by how it begins; empty where it may be a video.
std::string refusal(const Input& input);

// Whether tracks of an MP4 or MOV (handler: kPictures or kSound) are those of another file, which a data reference or a
// movie of references names. FFmpeg reads its own bytes in their place, or none.
bool lies_elsewhere(const Input& input, const std::string& handler);

}  // namespace vmz
