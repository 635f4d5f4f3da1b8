"""The certificate page as a PDF file. The Chinese font is shipped with the program and embedded in
the file, so that the page looks the same everywhere.
"""

from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import WrapMode
from fpdf.fonts import FontFace

from cli.certificate_page import Page, Pair, Section, Table, qr_png
from cli.certificate_texts import Text
from cli.screen import printable

FONT: Final = Path(__file__).parent / "fonts" / "NotoSansSC-GB2312.ttf"
"""Noto Sans SC, reduced to GB 2312, Latin and punctuation (SIL Open Font License, beside it)."""
RED: Final = (138, 28, 28)
GREY: Final = (95, 95, 95)
BLACK: Final = (26, 26, 26)
QR_MM: Final = 34
MARGIN_MM: Final = 14
LABEL_MM: Final = 54


class _Sheet(FPDF):
    """An A4 page with a foot that names the certificate."""

    def __init__(self, page: Page) -> None:
        super().__init__(format="A4", unit="mm")
        self.number = page.number
        self.set_margins(MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=16)
        self.add_font("noto", fname=FONT)
        self.set_title(f"{page.number} {page.title.zh} {page.title.en}")

    def footer(self) -> None:
        """The number of the certificate and of the page."""
        self.set_y(-12)
        self.set_font("noto", size=7.5)
        self.set_text_color(*GREY)
        self.cell(0, 5, f"{self.number}   {self.page_no()}/{{nb}}", align="C")


def as_pdf(page: Page, font: Path | None = None) -> bytes:
    """The bytes of the PDF. `font` replaces the shipped font, for names with rarer characters."""
    sheet = _Sheet(page)
    if font is not None:
        sheet.add_font("given", fname=font)
        sheet.set_fallback_fonts(["given"], exact_match=False)
    sheet.add_page()
    _head(sheet, page)
    for section in page.sections:
        _section(sheet, section)
    return bytes(sheet.output())


def _head(sheet: _Sheet, page: Page) -> None:
    top = sheet.get_y()
    sheet.image(qr_png(page.code), x=210 - MARGIN_MM - QR_MM, y=top, w=QR_MM)
    width = 182 - QR_MM - 4
    for text, size, colour in (
        (page.title.zh, 22, BLACK),
        (page.title.en, 12, GREY),
        (page.issuer.zh, 10, BLACK),
        (page.issuer.en, 9, GREY),
        (f"{page.number} · {page.status}", 12, RED),
    ):
        sheet.set_font("noto", size=size)
        sheet.set_text_color(*colour)
        sheet.multi_cell(
            width, size * 0.5, printable(text), align="L", new_x="LMARGIN", new_y="NEXT"
        )
    sheet.set_y(max(sheet.get_y(), top + QR_MM) + 2)
    sheet.set_draw_color(*RED)
    sheet.line(MARGIN_MM, sheet.get_y(), 210 - MARGIN_MM, sheet.get_y())


def _section(sheet: _Sheet, section: Section) -> None:
    sheet.ln(3)
    sheet.set_font("noto", size=11)
    sheet.set_text_color(*RED)
    title = f"{section.title.zh}  {section.title.en}"
    if sheet.will_page_break(24):
        sheet.add_page()
    sheet.cell(0, 6, title, new_x="LMARGIN", new_y="NEXT")
    for pair in section.pairs:
        _pair(sheet, pair)
    if section.table is not None:
        _table(sheet, section.table)
    for line in section.lines:
        sheet.set_text_color(*BLACK)
        sheet.set_font("noto", size=8.5)
        text = f"· {line.zh}  {line.en}"
        sheet.multi_cell(0, 4.2, text, align="L", new_x="LMARGIN", new_y="NEXT")


def _pair(sheet: _Sheet, pair: Pair) -> None:
    label, value = pair
    shown = value if isinstance(value, str) else f"{value.zh}\n{value.en}"
    sheet.set_font("noto", size=8.5)
    # A label of two lines stays with its value.
    if sheet.will_page_break(9):
        sheet.add_page()
    top = sheet.get_y()
    sheet.set_text_color(*GREY)
    sheet.multi_cell(
        LABEL_MM, 4.4, f"{label.zh} {label.en}", align="L", new_x="LMARGIN", new_y="NEXT"
    )
    below = sheet.get_y()
    sheet.set_xy(MARGIN_MM + LABEL_MM, top)
    sheet.set_text_color(*BLACK)
    sheet.multi_cell(
        0, 4.4, printable(shown), align="L", wrapmode=WrapMode.CHAR, new_x="LMARGIN", new_y="NEXT"
    )
    sheet.set_y(max(sheet.get_y(), below))


def _table(sheet: _Sheet, table: Table) -> None:
    sheet.set_font("noto", size=7.5)
    sheet.set_text_color(*BLACK)
    sheet.set_draw_color(187, 187, 187)
    heading = FontFace(color=GREY, emphasis="")
    with sheet.table(
        col_widths=table.widths,
        line_height=4,
        text_align="LEFT",
        padding=0.6,
        wrapmode=WrapMode.CHAR,
        headings_style=heading,
    ) as rows:
        rows.row([_label(column) for column in table.columns])
        for row in table.rows:
            rows.row([printable(cell) for cell in row])


def _label(text: Text) -> str:
    return f"{text.zh}\n{text.en}"
