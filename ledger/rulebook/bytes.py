"""B: bytes and their one form."""

from ledger.rulebook.rule import Rule

TOOLS = "Build it with this project's tools; the exact form is clause 2.1 of ledger/SPEC.md."
TOOLS_ZH = "请用本项目工具生成；确切形式见 ledger/SPEC.md 第 2.1 条。"
JSON = "Write it as canonical JSON (RFC 8785) with ASCII keys and no floats."
JSON_ZH = "请写成规范 JSON（RFC 8785）：键为 ASCII，且不含浮点数。"

BYTES: dict[str, Rule] = {
    "B1.tag": Rule(
        "This is not a signed statement: it must begin with the tag of COSE_Sign1 and an array of four (byte {offset}).",
        "这不是签名声明：须以 COSE_Sign1 标签和四元数组开头（第 {offset} 字节）。",
        TOOLS,
        TOOLS_ZH,
    ),
    "B1.head": Rule(
        "A CBOR string does not have the shortest head of its kind (byte {offset}).",
        "CBOR 字符串的头部不是该类型的最短形式（第 {offset} 字节）。",
        TOOLS,
        TOOLS_ZH,
    ),
    "B1.protected": Rule(
        "The protected header is not algorithm, content format, key id, issuer and subject in this order (byte {offset}).",
        "受保护头部不是依次的算法、内容格式、密钥标识、签发者和主体（第 {offset} 字节）。",
        TOOLS,
        TOOLS_ZH,
    ),
    "B1.text": Rule(
        "Issuer or subject is not UTF-8 (byte {offset}).",
        "签发者或主体不是 UTF-8（第 {offset} 字节）。",
        TOOLS,
        TOOLS_ZH,
    ),
    "B1.unprotected": Rule(
        "The unprotected header must be the empty map (byte {offset}).",
        "未受保护头部须为空映射（第 {offset} 字节）。",
        TOOLS,
        TOOLS_ZH,
    ),
    "B1.signature": Rule(
        "The entry must end in a signature of 64 bytes (byte {offset}).",
        "条目须以 64 字节的签名结尾（第 {offset} 字节）。",
        TOOLS,
        TOOLS_ZH,
    ),
    "B1.truncated": Rule(
        "The entry ends too early (byte {offset}).",
        "条目提前结束（第 {offset} 字节）。",
        "Send it again, whole.",
        "请完整地重新发送。",
    ),
    "B2": Rule("This is not canonical JSON.", "这不是规范 JSON。", JSON, JSON_ZH),
    "B2.depth": Rule(
        "More than {limit} objects and arrays lie within each other.",
        "对象与数组的嵌套超过 {limit} 层。",
        JSON,
        JSON_ZH,
    ),
    "B2.integer": Rule(
        "An integer lies outside +-(2^53 - 1).",
        "整数超出 ±(2^53 − 1)。",
        "Put larger numbers into strings.",
        "较大的数请写成字符串。",
    ),
    "B2.key": Rule("An object key is not ASCII text.", "对象的键不是 ASCII 文本。", JSON, JSON_ZH),
    "B2.type": Rule(
        "A value of type {type} has no place in canonical JSON here.",
        "类型为 {type} 的值不能出现在此处的规范 JSON 中。",
        JSON,
        JSON_ZH,
    ),
    "B3": Rule(
        "A text is not in normal form (NFC), holds a control character, or one that Unicode 3.2 does not know.",
        "文本不是规范化形式（NFC），或含控制字符，或含 Unicode 3.2 未收录的字符。",
        "Write it in plain characters.",
        "请使用普通字符书写。",
    ),
    "B4": Rule(
        "A text is not base64 of the right length in its one form.",
        "文本不是长度正确的唯一形式 base64。",
        "Copy the value again, whole.",
        "请完整地重新复制该值。",
    ),
    "B5": Rule(
        "A time is not of the form 2026-11-23T04:52:00.123Z, or a date not of the form 2026-11-23.",
        "时间不是 2026-11-23T04:52:00.123Z 的形式，或日期不是 2026-11-23 的形式。",
        "Write times in UTC with three decimals.",
        "请用 UTC 并带三位小数书写时间。",
    ),
    "B6": Rule(
        "An id is not a lower-case UUID of version 4 or 7.",
        "编号不是小写的第 4 版或第 7 版 UUID。",
        "Give the record a new UUIDv7.",
        "请为记录生成新的 UUIDv7。",
    ),
    "B7": Rule(
        "The entry has {size} bytes; 65,535 are allowed.",
        "条目有 {size} 字节；上限为 65,535 字节。",
        "Put large content into a payload outside the chain and commit to it.",
        "请将大内容放在链外载荷中，并在链上提交承诺。",
    ),
    "B8": Rule(
        "The bundle does not end with a whole entry (byte {offset}).",
        "条目包未以完整条目结束（第 {offset} 字节）。",
        "Send it again, whole.",
        "请完整地重新发送。",
    ),
}
