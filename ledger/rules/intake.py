"""The wider guard: what a node looks for, beside the patterns of S8, in texts that it is given for
all members to read (domain.md D11; SPEC 14.3).

It errs on the side of refusing, and may grow: no other node has to agree with it. Only the form and
the field are named, never what was found.
"""

import re
import unicodedata
from collections.abc import Iterable

from ledger.rules.guard import personal_data_in, texts_in

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏"
    "吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严"
    "覃武戴莫孔向汤欧"
)
LABELS_ZH = "姓名|患者姓名|病人姓名|联系人|负责人|主治医师|经治医师|责任护士"
LABELS_EN = "(?:patient|full|first|last|family|given|contact|physician)?[ _-]?name"
_WIDER = (
    # Written with blanks or strokes, with a country's or an area's code.
    ("phone", r"(?<![0-9A-Za-z.+-])\+[0-9]{1,3}[ -]?(?:\(0\))?(?:[ -]?[0-9]){7,12}(?![0-9])"),
    ("phone", r"(?<![0-9A-Za-z.-])\(?0[0-9]{2,3}\)?[ -][0-9]{3,4}[ -]?[0-9]{4}(?![0-9-])"),
    ("mobile", r"(?<![0-9A-Za-z.-])1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}(?![0-9-])"),
    ("ip", r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"),
    (
        "ip",
        r"(?<![\w:.])(?:fe80|f[cd][0-9a-f]{2}|2[0-9a-f]{3}):(?:[0-9a-f]{1,4}:){0,6}:[0-9a-f]{1,4}",
    ),
    ("name", rf"(?:{LABELS_ZH})\s*[:=]\s*[{SURNAMES}][\u4e00-\u9fff]{{1,3}}"),
    ("name", rf"[{SURNAMES}][\u4e00-\u9fff]{{0,2}}(?:先生|女士)"),
    ("name", rf"(?i:\b{LABELS_EN})\s*[:=]\s*[A-Z][a-z]+"),
    ("name", r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b\.?\s+(?:[A-Z]\.?\s+)?[A-Z][a-z]+"),
)
WIDER = tuple((form, re.compile(pattern, re.ASCII)) for form, pattern in _WIDER)


def names_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """What finds one of these names: words of Latin letters as whole words. None without any."""
    found = sorted({unicodedata.normalize("NFKC", name).strip() for name in names} - {""})
    parts = [rf"\b{re.escape(name)}\b" if name.isascii() else re.escape(name) for name in found]
    return re.compile("|".join(parts)) if parts else None


def wider_data_in(text: str, names: re.Pattern[str] | None = None) -> str | None:
    """The form of personal data that a text seems to hold, or None; digits and letters of full
    width are those of ASCII.
    """
    plain = unicodedata.normalize("NFKC", text)
    found = personal_data_in(plain)
    if found is not None:
        return found
    for form, pattern in WIDER:
        if pattern.search(plain):
            return form
    return "name" if names is not None and names.search(plain) else None


def suspect_field(value: object, names: re.Pattern[str] | None = None) -> tuple[str, str] | None:
    """The first field of a JSON value that seems to hold personal data, and their form."""
    for field, text in texts_in(value):
        form = wider_data_in(text, names)
        if form is not None:
            return field, form
    return None
