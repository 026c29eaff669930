"""Rows of data tables as one block each, their cells joined by tabs; tables that lay a page out stay as they are."""

from provenance.extractors import _walk
from provenance.extractors._walk import Walk

LONGEST_CELL = 1000
"""Characters; a table with more in one cell lays out a page."""
FEWEST_ROWS = 2


def join_rows(page: Walk) -> None:
    """Joins the cells of each row of data, and makes the tables that hold data of the kind `DATA`.

    A row is of data if it has two cells or more, none with more than one block or `LONGEST_CELL` characters, and two of them
    with text. A table is of data if it has `FEWEST_ROWS` such rows and no row that lays out. Empty cells keep their tab, but
    for those at the end.
    """
    if _walk.TABLE not in page.kinds:
        return
    cells = _cells(page)
    held: dict[int, list[int]] = {}
    for block, owner in enumerate(page.owners):
        if cells[owner]:
            held.setdefault(cells[owner], []).append(block)
    rows: dict[int, list[int]] = {}
    for element, cell in enumerate(cells):
        if element == cell and element:
            rows.setdefault(page.parents[element], []).append(element)
    tables: dict[int, list[int]] = {}
    layout: set[int] = set()
    for row, row_cells in rows.items():
        table = _table(page, row)
        blocks = [held.get(cell, []) for cell in row_cells]
        if any(len(found) > 1 or sum(len(page.texts[i]) for i in found) > LONGEST_CELL for found in blocks):
            layout.add(table)
        elif len(row_cells) > 1 and sum(map(bool, blocks)) > 1:
            tables.setdefault(table, []).append(row)
    joined: dict[int, list[list[int]]] = {}
    for table, found in tables.items():
        if table not in layout and len(found) >= FEWEST_ROWS:
            page.kinds[table] = _walk.DATA
            joined |= {row: [held.get(cell, []) for cell in rows[row]] for row in found}
    _replace(page, joined)


def _cells(page: Walk) -> list[int]:
    """For each element the innermost cell that holds it, or that it is; 0 for none."""
    cells = [0] * len(page.parents)
    for i, kind in enumerate(page.kinds):
        cells[i] = i if kind == _walk.CELL else cells[page.parents[i]]
    return cells


def _table(page: Walk, element: int) -> int:
    """The table that a row belongs to; 0 where there is none."""
    while element and page.kinds[element] != _walk.TABLE:
        element = page.parents[element]
    return element


def _replace(page: Walk, rows: dict[int, list[list[int]]]) -> None:
    """Puts one block in place of those of each row, where its first one stood."""
    if not rows:
        return
    first: dict[int, int] = {}
    gone: set[int] = set()
    for row, cells in rows.items():
        blocks = [i for cell in cells for i in cell]
        first[blocks[0]] = row
        gone.update(blocks[1:])
    texts, links, owners = page.texts, page.link_characters, page.owners
    page.texts, page.link_characters, page.owners = [], [], []
    for i, text in enumerate(texts):
        if i in gone:
            continue
        if i not in first:
            page.texts.append(text)
            page.link_characters.append(links[i])
            page.owners.append(owners[i])
            continue
        row = first[i]
        cells = rows[row]
        page.texts.append("\t".join(" ".join(texts[cell[0]].split("\n")) if cell else "" for cell in cells).rstrip("\t"))
        page.link_characters.append(sum(links[cell[0]] for cell in cells if cell))
        page.owners.append(row)
