"""What answers cannot know, said beside each of them, in English and Chinese (domain.md D16)."""

from typing import Final, NamedTuple


class Note(NamedTuple):
    """One sentence in both languages."""

    en: str
    zh: str


NOTES: Final[dict[str, Note]] = {
    "recorded-only": Note(
        "Complete for what was recorded; use that nobody recorded is not in it. Rows are counted"
        " from the node's index: `--proofs` fetches what proves each of them.",
        "仅涵盖已记录的内容；未被记录的使用不在其中。各行由节点索引统计："
        "可用 `--proofs` 取得逐行证明。",
    ),
    "count-buckets": Note(
        "How many records an access gave is a bucket in the access itself, and not added up.",
        "每次访问涉及的记录数以分档形式写在该访问记录中，此处不汇总。",
    ),
    "pseudonyms": Note(
        "Persons are pseudonyms of one study; only their institution knows who they are.",
        "人员为单项研究内的假名；仅其所属机构知晓身份。",
    ),
    "imported": Note(
        "What is marked IMPORTED was taken over from a register of others and witnessed by nobody"
        " here.",
        "标为 IMPORTED 的内容取自外部登记册，本链无人见证。",
    ),
    "node-by-runs": Note(
        "An access does not say where it was computed on; the place is judged of runs.",
        "访问记录不含计算地点；地点仅就运行判断。",
    ),
    "runs-by-open-findings": Note(
        "Runs are judged by their open findings; a resolved finding stays with its record.",
        "运行按未决发现项判断；已处置的发现项仍保留在原记录上。",
    ),
    "obligations-by-hand": Note(
        "BY_HAND: no record can show that this obligation was met.",
        "BY_HAND：该义务是否履行无法由记录证明。",
    ),
    "register-texts": Note(
        "Titles and summaries are payloads in the vaults of members; what was erased or is not held"
        " by this node is left empty. The statements of imported agreements stay in their file.",
        "标题与摘要为成员保管库中的载荷；已删除或本节点未持有者留空。导入协议的说明文字保留在原文件中。",
    ),
    "missing-links": Note(
        "Links that lead nowhere on this chain are listed as missing.",
        "在本链上无所指的关联列为缺失。",
    ),
    "credit-texts": Note(
        "The wording of acknowledgements and citations is a payload of each version.",
        "致谢与引用的文字为各版本的载荷。",
    ),
    "shares-by-agreement": Note(
        "Shares take effect only through agreements between the parties.",
        "份额须经各方协议方可生效。",
    ),
    "nothing-changed": Note(
        "Nothing that was recorded is changed by this; actions are what people have to do.",
        "已记录的内容不因此改变；所列行动须由人员执行。",
    ),
    "left-unrecorded": Note(
        "What was carried out without a request is not on the chain.",
        "未经申请而带出的内容不在链上。",
    ),
    "certificate-offline": Note(
        "A node says so. The certificate's own file proves it offline: `alliance certificate"
        " verify FILE`.",
        "此为节点的答复。凭证文件本身可离线证明：`alliance certificate verify 文件`。",
    ),
    "certificate-limits": Note(
        "A certificate presumes integrity after entry only; it does not prove the truth of content"
        " before entry, ownership under law, or the absence of unrecorded use.",
        "凭证仅推定入链后的完整性；不证明入链前内容真实、法律上的权属，也不证明不存在未记录的使用。",
    ),
    "no-uptime": Note(
        "The chain does not say how long a node was up or how far it lagged; `alliance report"
        " copies` says who cosigned the newest head.",
        "链上不含节点在线时长与滞后；`alliance report copies` 显示最新树头的联署成员。",
    ),
    "quorum-by-rules": Note(
        "A decision takes effect only with its quorum and without those who are in conflict: the"
        " rules refuse every other one, on every node.",
        "决定须达法定人数且回避利益冲突方可生效：各节点规则均拒绝其他情形。",
    ),
    "equal-by-cosigning": Note(
        "A member cosigns only what it checked itself: whoever cosigned this root holds the same"
        " entries. Entries with invalid signatures are never kept.",
        "成员仅联署其自行核验的内容：联署该树根者持有相同条目。签名无效的条目从不保存。",
    ),
    "whole-copy-by-audit": Note(
        "That nothing of this copy is damaged: `alliance export` and `alliance audit`, offline.",
        "本副本是否完好：用 `alliance export` 与 `alliance audit` 离线核验。",
    ),
    "one-pseudonym": Note(
        "This is one pseudonym; a person has another one in every study.",
        "此为一个假名；同一人员在每项研究中假名不同。",
    ),
    "erasure-keeps-records": Note(
        "Payloads can be erased (`alliance erase`); records under the pseudonym stay.",
        "载荷可删除（`alliance erase`）；假名下的记录保留。",
    ),
}
