"""A film once more with silence for its sound, as a converter that goes wrong makes it."""

from __future__ import annotations

from pathlib import Path

import av


def mute(film: Path) -> None:
    """Replace a film by one with the same pictures and digital silence."""
    made = film.with_name(f"muted-{film.name}")
    with av.open(str(film)) as source, av.open(str(made), "w") as target:
        picture, sound = source.streams.video[0], source.streams.audio[0]
        pictures = target.add_stream_from_template(picture)
        silence = target.add_stream("aac", rate=sound.rate, layout="mono")
        for packet in source.demux(picture):
            if packet.dts is not None:
                packet.stream = pictures
                target.mux(packet)
        source.seek(0)
        for frame in source.decode(sound):
            quiet = av.AudioFrame.from_ndarray(
                frame.to_ndarray()[:1] * 0, format=frame.format.name, layout="mono"
            )
            quiet.rate, quiet.pts, quiet.time_base = frame.rate, frame.pts, frame.time_base
            target.mux(silence.encode(quiet))
        target.mux(silence.encode(None))
    made.replace(film)
