"""What a video may be: one file that holds its pictures itself, in one of the containers listed here.

A playlist, a manifest or a text makes FFmpeg open other files, fetch addresses or listen to ports. Such files are told
by their first bytes and refused by name; what FFmpeg still takes for another format than those listed it does not open.
ops/core/decoding/containers.cc is the same for the C++ operator: change both.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Optional

# FFmpeg's names. Sound alone is listed too, so that the reason is that there is no video stream.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,kux,asf,asf_o,ogg,rm,mxf,dv,ivf,gif,"
    "yuv4mpegpipe,mpegvideo,m4v,h261,h263,h264,hevc,vvc,obu,av1,vc1,vc1test,cavsvideo,dirac,mjpeg,"
    "aac,ac3,aiff,flac,mp3,wav,"
    "bmp_pipe,dds_pipe,dpx_pipe,exr_pipe,gif_pipe,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_pipe,pam_pipe,pbm_pipe,"
    "pcx_pipe,pgm_pipe,png_pipe,ppm_pipe,psd_pipe,qoi_pipe,sgi_pipe,sunrast_pipe,tiff_pipe,webp_pipe,xbm_pipe,"
    "xpm_pipe,xwd_pipe"
)
NO_PROTOCOL = "none"  # the name of no protocol: nothing is opened but the bytes that we hand over

HEAD_BYTES = 4096  # that `refusal` wants to see
_TEXT_BYTES = 512  # that tell a text from a container
_MAX_BOXES = 100_000  # of an MP4 that are looked at; a large one has some hundreds outside its tables

READ_FORMATS = "MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, ASF, Ogg and the like"
OTHER_FORMAT = f"its format is not one of those supported: {READ_FORMATS}"
ELSEWHERE = "its pictures are in another file, which is not opened"
SOUND_ELSEWHERE = "its sound is in another file, which is not opened"
PICTURES, SOUND = b"vide", b"soun"  # handlers of an MP4's tracks

_TEXT_CONTAINERS = re.compile(rb"YUV4MPEG2|/\* XPM|#define|P[1-7fF]\s")
# How a file begins, in lower case and without blanks, and what it is. The first that fits counts.
_BEGINNINGS = (
    (b"#extm3u", "an HLS or M3U playlist"),
    (b"ffconcat", "an ffconcat list"),
    (b"v=0", "an SDP description"),
    (b"nut/multimedia container", "a NUT file"),
    (b"[playlist]", "a PLS playlist"),
    (b"[reference]", "an ASX playlist"),
    (b";ffmetadata", "FFmpeg metadata"),
    (b"webvtt", "subtitles"),
    (b"[script info]", "subtitles"),
    (b"[information]", "subtitles"),
    (b"# vobsub", "subtitles"),
    (b"scenarist_scc", "subtitles"),
)
_TEXTS = (
    (re.compile(rb"\d+\s+\d\d:\d\d:\d\d[,.]\d+\s*-->"), "subtitles"),
    (re.compile(rb"\{\d*\}\{\d*\}|\[\d+:\d\d[.:]\d+\]"), "subtitles"),
    (re.compile(rb"[a-z][a-z0-9+.-]*://|(?:data|concat|file|pipe|cache|async|crypto|tee):|subfile,"), "an address"),
)
# The same for XML, anywhere at its beginning
_ELEMENTS = (
    (b"<mpd", "a DASH manifest"),
    (b"<smoothstreamingmedia", "a Smooth Streaming manifest"),
    (b"<compositionplaylist", "an IMF playlist"),
    (b"<assetmap", "an IMF playlist"),
    (b"<playlist", "an XSPF playlist"),
    (b"<asx", "an ASX playlist"),
    (b"<smil", "a SMIL playlist"),
    (b"<sami", "subtitles"),
    (b"<tt", "subtitles"),
    (b"<svg", "an SVG drawing"),
    (b"<html", "a web page"),
    (b"<!doctype html", "a web page"),
)


def refusal(head: bytes) -> Optional[str]:
    """Why a file that begins with `head` (HEAD_BYTES of it) is not opened; None where it may be a video."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16
        head = head[2:].replace(b"\0", b"")
    text = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
    text = text.lstrip(b" \t\r\n\v\f").lower()
    for beginning, kind in _BEGINNINGS:
        if text.startswith(beginning):
            return f"it is {kind}, not a video"
    if _TEXT_CONTAINERS.match(head) or not _is_text(head[:_TEXT_BYTES]):
        return None
    kind = next((kind for pattern, kind in _TEXTS if pattern.match(text)), "text")
    if text.startswith(b"<"):
        kind = next((kind for element, kind in _ELEMENTS if element in text), kind)
    return f"it is {kind}, not a video"


def _is_text(head: bytes) -> bool:
    return bool(head) and all(byte in b"\t\n\v\f\r" or (byte >= 32 and byte != 127) for byte in head) and _is_utf8(head)


def _is_utf8(head: bytes) -> bool:
    """Whether it is UTF-8, but for a last character that is cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        return True
    except UnicodeDecodeError:
        return False


def lies_elsewhere(file: Any, size: int, handler: bytes) -> bool:
    """Whether tracks of an MP4 or MOV (handler: PICTURES or SOUND) are those of another file, which a data reference
    or a movie of references names.

    FFmpeg reads its own bytes in their place, or none. The position in the file is kept.
    """
    position = file.tell()
    try:
        return _Boxes(file).any_elsewhere(size, handler)
    finally:
        file.seek(position)


class _Boxes:
    """The boxes of an MP4: length (4 bytes, 1: 8 more hold it, 0: to the end), type, content."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, _MAX_BOXES

    def any_elsewhere(self, size: int, handler: bytes) -> bool:
        movies = [(at, end) for kind, at, end in self._within(0, size) if kind == b"moov"]
        return any(
            kind == b"rmra" or (kind == b"trak" and self._is_elsewhere(handler, *place))
            for movie in movies
            for kind, *place in self._within(*movie)
        )

    def _is_elsewhere(self, handler: bytes, at: int, end: int) -> bool:
        """Whether a track of this handler names a file in any entry of its table of data references."""
        if self._read(*self._find((b"mdia", b"hdlr"), at, end), 12)[8:] != handler:
            return False
        place, end = self._find((b"mdia", b"minf", b"dinf", b"dref"), at, end)
        return any(self._names_a_file(*entry) for entry in self._within(place + 8, end))

    def _names_a_file(self, kind: bytes, at: int, end: int) -> bool:
        flags = self._read(at, end, 4)
        inside = len(flags) < 4 or flags[3] & 1
        return not inside and kind in (b"url ", b"urn ", b"alis", b"rsrc") and end - at > 5

    def _find(self, path: tuple[bytes, ...], at: int, end: int) -> tuple[int, int]:
        """Where the content of the first box of this path lies; an empty place where there is none."""
        for wanted in path:
            at, end = next(((a, e) for kind, a, e in self._within(at, end) if kind == wanted), (end, end))
        return at, end

    def _within(self, at: int, end: int) -> Any:
        while at + 8 <= end and self._left > 0:
            self._left -= 1
            head = self._read(at, end, 16)
            length, skip = int.from_bytes(head[:4], "big"), 8
            if length == 1:
                length, skip = int.from_bytes(head[8:16], "big"), 16
            elif length == 0:
                length = end - at
            if length < skip:
                return
            yield head[4:8], at + skip, min(at + length, end)
            at += length

    def _read(self, at: int, end: int, count: int) -> bytes:
        self._file.seek(at)
        return bytes(self._file.read(max(0, min(count, end - at))))
