"""T: payloads beside the chain, and the vault that holds them."""

from ledger.rulebook.rule import Rule

SAME = (
    "Deposit the very bytes that the record commits to; the command line does both from one file."
)
SAME_ZH = "请存入记录所承诺的相同字节；命令行会由同一文件完成两者。"
KEY = "Give the key back that this vault was made with: `keys/vault`, ALLIANCE_VAULT_KEY or the setting vault_key_command. Without it the payloads cannot be read."
KEY_ZH = "请提供建立该保管库时的密钥：`keys/vault`、ALLIANCE_VAULT_KEY 或设置项 vault_key_command。没有它无法读取载荷。"

VAULT: dict[str, Rule] = {
    "T1": Rule(
        "The payload is no JSON object in canonical form.",
        "载荷不是规范形式的 JSON 对象。",
        "Sort its keys, leave out spaces and fractions; clause 14.1 of ledger/SPEC.md has the form.",
        "请对键排序，去除空格与小数；形式见 ledger/SPEC.md 第 14.1 条。",
    ),
    "T1.large": Rule(
        "The payload is larger than {limit} bytes.",
        "载荷超过 {limit} 字节。",
        "Hand large files in as attachments.",
        "大文件请作为附件提交。",
    ),
    "T2": Rule(
        "The payload is not the one that the commitment {commit} stands for.",
        "载荷与承诺值 {commit} 不符。",
        SAME,
        SAME_ZH,
    ),
    "T3": Rule(
        "This node does not hold the payload {commit}.",
        "本节点未保存载荷 {commit}。",
        "Ask a node of an organisation that the record names as holder.",
        "请向记录所列持有机构的节点查询。",
    ),
    "T4": Rule(
        "The payload {commit} was erased under {record}.",
        "载荷 {commit} 已依据 {record} 删除。",
        "Nothing is left of it; the record and all proofs stay valid.",
        "其内容已不存在；记录与全部证明依然有效。",
    ),
    "T5": Rule(
        "The payload {commit} is released to the parties that its record names, not to this key.",
        "载荷 {commit} 仅向记录指定的各方提供，不向该密钥提供。",
        "Ask its depositor, or an officer of a holding organisation; the attempt is on record.",
        "请联系存入者或持有机构的负责人；本次尝试已留痕。",
    ),
    "T6": Rule(
        "The key of the vault is missing, or not the one that it was made with.",
        "保管库密钥缺失，或不是建立时的密钥。",
        KEY,
        KEY_ZH,
    ),
    "T6.data": Rule(
        "What lies in the vault cannot be decrypted: another key, or changed bytes.",
        "保管库内容无法解密：密钥不符或字节被改动。",
        KEY,
        KEY_ZH,
    ),
    "T7": Rule(
        "The field {field} of the text for all members seems to hold personal data of the form {pattern}.",
        "面向全体成员的文本的字段 {field} 疑似含有{pattern}形式的个人信息。",
        "Leave it out, or deposit the text with tier T2.",
        "请删除该内容，或以 T2 级存入。",
    ),
    "T9": Rule(
        "The person {person} is named by the active permit {permit}: who uses data stays known to the home institution.",
        "人员 {person} 列于有效许可 {permit} 中：使用数据者须为所属机构所知。",
        "Close or revoke the permit first, then erase.",
        "请先关闭或撤销该许可，再行删除。",
    ),
    "T10": Rule(
        "The committee's policy keeps {schema} for {months} months; the payload {commit} is younger.",
        "委员会政策规定 {schema} 须保留 {months} 个月；载荷 {commit} 尚未到期。",
        "Wait, or ask the committee for another retention (`alliance policy`).",
        "请等待期满，或请委员会调整保留期（`alliance policy`）。",
    ),
    "T11": Rule(
        "The reading of the payload {commit} is not on record yet, and nothing is released before.",
        "对载荷 {commit} 的读取尚未上链留痕；在此之前不予提供。",
        "Ask again in a moment; when it lasts, `alliance node status` says what the chain waits for.",
        "请稍后再试；如持续出现，`alliance node status` 会说明链在等待什么。",
    ),
    "T12": Rule(
        "The bytes that came are not those whose SHA-256 the payload {commit} names; all of them were dropped.",
        "收到的字节与载荷 {commit} 所载 SHA-256 不符，已全部丢弃。",
        "Hand in, or fetch, the whole attachment again; the file may have changed meanwhile.",
        "请重新上传或下载整个附件；文件可能已被修改。",
    ),
    "T13": Rule(
        "The attachment of {commit} is not complete here: {have} of {count} pieces.",
        "载荷 {commit} 的附件在本节点尚不完整：共 {count} 段，已有 {have} 段。",
        "Ask again in a moment, or go on handing it in with `alliance vault attach`.",
        "请稍后再试，或用 `alliance vault attach` 继续上传。",
    ),
    "T14": Rule(
        "Piece {number} of the attachment of {commit} cannot be taken: {have} of {count} are here, each has its length, and the next one is taken next.",
        "无法接收载荷 {commit} 附件的第 {number} 段：共 {count} 段，已有 {have} 段；每段长度固定，须按顺序提交。",
        "Go on with the next piece; `alliance vault attach` does.",
        "请从下一段继续；`alliance vault attach` 会自动处理。",
    ),
    "T15": Rule(
        "The payload {commit} has no attachment.",
        "载荷 {commit} 没有附件。",
        "`alliance vault read` shows the payload itself.",
        "`alliance vault read` 可显示载荷本身。",
    ),
    "T16": Rule(
        "The attachment of {commit} is handed in by whoever deposited its payload, not by this key.",
        "载荷 {commit} 的附件须由其存入者提交，不接受该密钥。",
        "Use the key that deposited the payload.",
        "请使用存入该载荷的密钥。",
    ),
    "T17": Rule(
        "The key of the vault is kept outside the home directory, and only one is given.",
        "保管库密钥存于主目录之外，且仅提供了一个。",
        "Give the new key on the first line and the old one on the second, in ALLIANCE_VAULT_KEY or by vault_key_command; then run it again, and drop the old one.",
        "请在 ALLIANCE_VAULT_KEY 或 vault_key_command 中首行提供新密钥、次行提供旧密钥；再次运行后移除旧密钥。",
    ),
    "T8": Rule(
        "{org} is not among the holders of this payload.",
        "{org} 不在该载荷的持有者之列。",
        "Name the organisation whose node it is given to among its holders.",
        "请将接收节点所属机构列为持有者。",
    ),
}
