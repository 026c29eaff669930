"""The input formats: one module each, found by listing this package (names with an underscore are helpers).

A reader module has

- `NAME: str`, the format's name in `sources.format`;
- `sniff(head: bytes) -> bool`, whether a file that begins with these bytes (up to 64 KiB, of bzip2 up to 1 MiB, of which nothing can be
  decoded before the end of a block) is of this format: its bytes decide, never its name;
- `survey(stream, options) -> Found`, one pass over a seekable binary stream: items, record starts that an independent
  method counts, and the splits;
- `read(stream, split, options) -> Iterator[Record | Unreadable]`, the items of one split. Split by split it yields
  exactly what it yields over the whole file, and as many items as the survey counted;
- `PRESET: str`, only where the format cannot be told by bytes: the `read.preset` under which all files that it sniffs are
  of this format, and without which none is.

Neither raises for anything that the bytes may hold: what cannot be used is an `Unreadable`.
"""
