"""The wider guard: personal data in texts for all members, in Chinese and English, by field; and
what only looks like it.
"""

import pytest

from ledger.rules.intake import names_pattern, suspect_field, wider_data_in

REFUSED = {
    "name": [
        "患者姓名：张伟，男",
        "联系人: 欧阳修",
        "请王女士来院",
        "感谢李建国先生",
        "Patient name: Smith",
        "name = Alice",
        "we thank Dr. J. Smith",
        "Prof Miller agreed",
    ],
    "phone": [
        "电话 010-62345678",
        "call (021) 6234 5678",
        "+86 138 1234 5678",
        "+44 (0)20 7946 0958",
    ],
    "mobile": [
        "手机 138 1234 5678",
        "138-1234-5678",
        "手机１３８１２３４５６７８",
        "at 13812345678",
    ],
    "resident-id": ["身份证 11010519491231002X", "id 11010519491231002x."],
    "e-mail": ["li.wei@example.org", "写信至 ｌｉ@example.org"],
    "ip": ["from 10.1.2.3", "at 2001:db8:0:0:0:0:0:1", "主机 fe80::1"],
}
KEPT = [
    "脓毒症患者高血压与急性肾损伤的队列研究",
    "主任医师查房，高年资医生复核",
    "A cohort of 10,482 patients, 2019-2024; SOFA >= 2 at 12:30:45",
    "identifier 110105194912310021, version 1.2.3, DUO:0000042",
    "Name of the dataset: MIMIC-IV",
    "see section 010-12 and ICD-10 A41.9; OR 1.38 (95% CI 1.12-1.70)",
    "the drug, the doctor and the professor",
    "请注明：数据由协作联盟提供",
    "ratio 3::1 and 07:00:15",
    "doi:10.1038/s41597-022-01899-x",
]


@pytest.mark.parametrize(
    ("form", "text"), [(form, text) for form, texts in REFUSED.items() for text in texts]
)
def test_personal_data_are_found(form: str, text: str) -> None:
    assert wider_data_in(text) == form


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_personal_data_is_kept(text: str) -> None:
    assert wider_data_in(text) is None


def test_names_of_the_list_are_found_as_words() -> None:
    names = names_pattern(["诸葛亮", "Ann Lee", "", " "])
    assert wider_data_in("负责：诸葛亮", names) == "name"
    assert wider_data_in("by Ann Lee.", names) == "name"
    assert wider_data_in("by Joann Lees", names) is None
    assert names_pattern([" ", ""]) is None


def test_the_field_is_named_wherever_it_is() -> None:
    value = {"title": "ICU", "team": [{"note": "x"}, {"note": "13812345678"}], "n": 5, "ok": True}
    assert suspect_field(value) == ("team[1].note", "mobile")
    assert suspect_field({"number": 13812345678}) == ("number", "mobile")
    assert suspect_field({"outer": {"a@example.org": 1}}) == ("outer", "e-mail")
    assert suspect_field({"title": "ICU", "years": [2019, 2020]}) is None
