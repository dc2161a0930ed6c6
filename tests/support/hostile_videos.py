"""Files that are given as videos to make their reader open something else, take all memory, or never come back."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from threading import Thread
from typing import Any

import av
import numpy as np

# What each is called, and its content: H is the address of an HTTP server, U a UDP port, F a real video's path.
PLAYLISTS = {
    "HLS": ("an HLS or M3U playlist", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nH/a.ts\n#EXT-X-ENDLIST\n"),
    "HLS of files": ("an HLS or M3U playlist", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://F\n"),
    "HLS, master": ("an HLS or M3U playlist", "\ufeff\n#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nH/b.m3u8\n"),
    "HLS, key": (
        "an HLS or M3U playlist",
        '#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-KEY:METHOD=AES-128,URI="H/key"\n#EXTINF:5,\nF\n',
    ),
    "DASH": (
        "a DASH manifest",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1" codecs="avc1.42c01e" width="64" '
        'height="48"><BaseURL>H/a.mp4</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>',
    ),
    "DASH of files": (
        "a DASH manifest",
        '<MPD type="static" mediaPresentationDuration="PT1S"><Period><AdaptationSet><Representation id="1">'
        "<BaseURL>file://F</BaseURL><SegmentList><SegmentURL media='file://F'/></SegmentList></Representation>"
        "</AdaptationSet></Period></MPD>",
    ),
    "ffconcat": ("an ffconcat list", "ffconcat version 1.0\nfile 'F'\n"),
    "ffconcat, address": ("an ffconcat list", "ffconcat version 1.0\nfile 'H/a.mp4'\n"),
    "concat list": ("text", "file 'F'\nfile 'H/a.mp4'\n"),
    "SDP": (
        "an SDP description",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video U RTP/AVP 96\r\n"
        "a=rtpmap:96 H264/90000\r\n",
    ),
    "RTSP": ("an address", "rtsp://127.0.0.1:U/a\nmore"),
    "UDP": ("an address", "udp://127.0.0.1:U\nmore"),
    "concat:": ("an address", "concat:F|F\nmore"),
    "subfile": ("an address", "subfile,,start,0,end,9,,:F\nmore"),
    "data:": ("an address", "data:video/mp4;base64,AAAA\nmore"),
    "SMIL": ("a SMIL playlist", '<smil><body><video src="H/a.mp4"/></body></smil>'),
    "ASX": ("an ASX playlist", '<ASX version="3.0"><Entry><Ref href="H/a.wmv"/></Entry></ASX>'),
    "XSPF": ("an XSPF playlist", '<?xml version="1.0"?><playlist><trackList><track><location>H/a</location>'),
    "PLS": ("a PLS playlist", "[playlist]\nFile1=H/a.mp4\nLength1=-1\nNumberOfEntries=1\n"),
    "Smooth Streaming": ("a Smooth Streaming manifest", '<SmoothStreamingMedia MajorVersion="2" Url="H/a"/>'),
    "IMF": (
        "an IMF playlist",
        '<?xml version="1.0"?>\n<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>',
    ),
    "web page": ("a web page", "<!DOCTYPE html>\n<html><video src='H/a.mp4'></video></html>"),
    "SVG": ("an SVG drawing", '<svg xmlns="http://www.w3.org/2000/svg"><image href="H/a.png"/></svg>'),
    "WebVTT": ("subtitles", "WEBVTT\n\n00:00.000 --> 00:01.000\na\n"),
    "SubRip": ("subtitles", "1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:01,000 --> 00:00:02,000\nb\n"),
    "ASS": ("subtitles", "[Script Info]\nTitle: a\n"),
    "MicroDVD": ("subtitles", "{1}{25}a\n{26}{50}b\n"),
    "VobSub": ("subtitles", "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"),
    "SAMI": ("subtitles", "<SAMI><HEAD/><BODY><SYNC Start=0>a</SAMI>"),
    "lyrics": ("subtitles", "[00:01.00]a\n[00:02.00]b\n"),
    "metadata": ("FFmpeg metadata", ";FFMETADATA1\ntitle=a\n"),
    "AviSynth": ("text", 'a = AviSource("F")\nreturn a\n'),
    "lavfi": ("text", "movie=F,\nscale=64:48\n"),
    "image sequence": ("text", "frames/%05d.png\nmore"),
    "text": ("text", "a text of some length\n" * 100),
}


def playlist(name: str, address: str, port: int, path: Path) -> bytes:
    """The content of one of PLAYLISTS."""
    values = {"H": address, "U": str(port), "F": str(path)}
    return re.sub(r"\b[HUF]\b", lambda mark: values[mark[0]], PLAYLISTS[name][1]).encode()


@contextmanager
def listening() -> Iterator[tuple[str, int, list[str]]]:
    """(address of an HTTP server, UDP port, what came in at either): nothing may, from a reader of videos."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(f"GET {self.path}")
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with socket(AF_INET, SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", port, came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def of_format(name: str, codec: str, frames: int = 12, size: tuple[int, int] = (64, 48)) -> bytes:
    """A real video in one of FFmpeg's formats."""
    memory = io.BytesIO()
    with av.open(memory, "w", format=name) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        for level in range(frames):
            pixels = np.full((size[1], size[0], 3), 40 + 10 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return memory.getvalue()


def with_reference(
    mp4: bytes, kind: bytes = b"url ", location: bytes = b"file:///other.mp4\0", track: int = 0
) -> bytes:
    """An MP4 of which a track is that of another file, as its data reference says. Its moov box has to be the last."""
    place = [found.start() for found in re.finditer(b"dref", mp4)][track]
    entry = place + 12  # behind the type, the version and the number of entries
    size = int.from_bytes(mp4[entry : entry + 4], "big")
    other = struct.pack(">I4sI", 12 + len(location), kind, 0) + location
    out = bytearray(mp4[:entry] + other + mp4[entry + size :])
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        at = out.rindex(box, 0, place + 4) - 4
        out[at : at + 4] = struct.pack(">I", int.from_bytes(out[at : at + 4], "big") + len(other) - size)
    return bytes(out)


def of_references(location: bytes = b"file:///other.mp4\0") -> bytes:
    """A QuickTime movie that is nothing but the name of another one."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + kind + content

    reference = box(b"rdrf", struct.pack(">I4sI", 0, b"url ", len(location)) + location)
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


def png(width: int, height: int) -> bytes:
    """A black PNG, which takes next to nothing in the file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer, row = zlib.compressobj(1), bytes(1 + width * 3)
    content = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def slow_jpeg(side: int, scans: int) -> bytes:
    """A progressive JPEG of many scans of nothing: few bytes, and one frame that takes its decoder long."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    # A comment, for FFmpeg takes no more than four blocks for a byte of the file
    out = (
        b"\xff\xd8"
        + segment(0xFE, bytes(60_000)) * ((side // 8) ** 2 // 4 // 60_000 + 1)
        + segment(0xDB, b"\0" + b"\1" * 64)
    )
    out += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    # One code of one bit: a difference of 0 (DC), and a run of 2^14 and more blocks without coefficients (AC)
    out += segment(0xC4, b"\0\1" + bytes(15) + b"\0") + segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")
    blocks = (side // 8) ** 2
    out += segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 1)
    runs, run = -(-blocks // 0x7FFF), "0" + "1" * 14
    bits = run * runs
    data = (
        int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big").replace(b"\xff", b"\xff\0")
    )
    scan = segment(0xDA, b"\1\1\0\1\x3f\0") + data
    return out + scan * scans + b"\xff\xd9"
