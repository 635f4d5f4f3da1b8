"""What the commands of a dossier say, and the explanations inside it, in English and Chinese.

The explanations are part of the format `alliance-dossier/1`: a verifier makes them again and
compares. Who changes a word here changes the format, and a test says so.
"""

from collections.abc import Mapping
from typing import Final

from cli.certificate_texts import LIMITS, RIGHTS_TEXTS, Text

DOSSIER_TEXTS: Final[dict[str, Text]] = {
    "dossier-collecting": Text("collecting proofs", "收集证明"),
    "dossier-written": Text(
        "Dossier {file}: {about} records about {subject} and {rest} that they rest on, {size} "
        "bytes, at block {height}.",
        "证据卷宗 {file}：关于 {subject} 的记录 {about} 条，所依据的记录 {rest} 条，"
        "共 {size} 字节，截至区块 {height}。",
    ),
    "dossier-pin": Text(
        "Whoever gets it needs the pin by another way: {pin}",
        "收件人须经其他途径取得固定值：{pin}",
    ),
    "dossier-bare": Text(
        "   Certificate {no} is inside as a record only, without its calculation.",
        "   凭证 {no} 仅以记录形式收入，不含其计算。",
    ),
    "dossier-line": Text(
        "Dossier about {subject}: {about} records, complete up to block {height} ({time}); {rest} "
        "further records that they rest on.",
        "关于 {subject} 的证据卷宗：记录 {about} 条，截至区块 {height}（{time}）完整；"
        "另有其所依据的记录 {rest} 条。",
    ),
    "dossier-record": Text(
        "   {mark} {index:>8}  {time}  {type}  {org}  {standing}",
        "   {mark} {index:>8}  {time}  {type}  {org}  {standing}",
    ),
    "dossier-marks": Text("   * about the subject", "   * 关于该主体"),
    "dossier-certificate": Text(
        "   Certificate {no}: {status}, checked in full.", "   凭证 {no}：{status}，已全部核验。"
    ),
    "dossier-signers": Text("Cosigned by: {signers}", "联署：{signers}"),
    "dossier-verdict-valid": Text(
        "VALID: nothing in it was changed, added or left out.", "有效：内容未被更改、添加或遗漏。"
    ),
    "dossier-verdict-invalid": Text("INVALID", "无效"),
    "dossier-limits": Text("What this does not prove", "本卷宗不证明的事项"),
    "dossier-no-payloads": Text(
        "Payloads (free text, personal data) are not inside; records hold commitments to them.",
        "卷宗不含载荷（自由文本、个人数据）；记录中仅有其承诺值。",
    ),
    "dossier-no-anchors": Text(
        "Time stamps of others (RFC 3161) are not inside: times are those that the members sealed. "
        "Whoever holds this file may have it stamped as it is.",
        "卷宗不含外部时间戳（RFC 3161）：时间为成员封块所定的时间。"
        "持有者可将本文件原样交付加盖时间戳。",
    ),
    "step-dossier-form": Text("form of the file", "文件格式"),
    "step-dossier-trust": Text("the chain that you trust", "您所信任的链"),
    "step-dossier-proofs": Text(
        "signatures and proofs of every record, value and certificate",
        "各记录、状态值与凭证的签名与证明",
    ),
    "step-dossier-complete": Text(
        "nothing about the subject was left out", "关于该主体的内容没有遗漏"
    ),
    "step-dossier-files": Text(
        "every readable file says what the proofs say", "各可读文件与证明一致"
    ),
}

NOT_INSIDE: Final = ("payloads", "anchors")

README_EN: Final = """\
EVIDENCE DOSSIER (alliance-dossier/1)                        Chinese: README.zh-CN.txt

Subject   {subject}
Chain     {origin}
Pin       {pin}
Head      {size} entries, root {root}
          block {height}, sealed {time} (UTC)
Inside    {about} records about the subject, complete up to this head; {count} records in all

1. What this is

Institutions keep a ledger of research data together. Every record in it is signed by who made it,
and has its place in one growing list (a Merkle tree). A quorum of the institutions signs the root
of that list: that is the head named above. This archive holds what the ledger says about one
subject, and all that is needed to check it without the ledger, its software or its operators.

2. What it proves

- Each record in it was signed with a key of the organisation named, and stood in the ledger when
  the head was signed; its place says which records were there before it.
- The records about the subject are all that there were at the head, and so are those on each of
  them (reviews, decisions, rulings, corrections): none was left out. What these rest on, as far
  as they name it, is there, too.
- Its time is the time of the block that took it, as the institutions sealed it.

3. What it does not prove

{limits}

4. Trust

All keys follow from the file `genesis`. Whether that is the genesis of the chain you know is for
you to find out by another way: compare the pin with one that you got from an institution of the
alliance, a publication, or a notary. An archive with another pin is of another chain.

5. Checking it with the tool

    alliance dossier verify FILE.zip --pin PIN          (or --genesis FILE)

It needs no network, and prints a verdict. It also compares every file in here, this one included,
with what follows from the proofs. Do not unpack and zip again: give it the file itself.

6. Checking it by hand, with standard tools

Names of files are those in this archive; N stands for the number of a record. base64url is that
of RFC 4648 without padding.

a) Files: `sha256sum -c MANIFEST`. By itself this only shows that the copy is whole.
b) Pin: `genesis` holds entries, each behind its length as two bytes, big-endian. The pin is
   base64url of SHA-256(0x00 || last entry). The first entry holds the members and their keys.
c) Head: `checkpoint` is a signed note (C2SP signed-note, tlog-checkpoint): name, number of
   entries, root. `policy` (C2SP tlog-policy) holds the keys that may sign, and how many must.
   The line of a log key is base64(4 bytes of key id || Ed25519 signature of the text up to and
   with the newline before the empty line). That of a cosigner (C2SP tlog-cosignature) is
   base64(4 bytes of key id || 8 bytes of POSIX time T || Ed25519 signature of
   "cosignature/v1\\ntime T\\n" || text). Keys: `keys.json`; those of the first epoch stand in
   `genesis`, those of later ones in `subject.json` under `boundaries`.
d) Record: `records/N.cose` holds the exact bytes, a COSE_Sign1 (RFC 9052). Its payload is the
   JSON that `records/N.json` shows under `record`. Signed is the CBOR array
   ["Signature1", protected header, h'', payload], with Ed25519 (alg -8) or ES256 (alg -7) by the
   key whose id stands in the protected header under 4; `keys.json` has it, under `records` with
   its time of validity (`key` in `records/N.receipt.json` proves it, in the form of f), or under
   `epochs` for keys of nodes.
e) Inclusion: the leaf hash is SHA-256(0x00 || bytes of N.cose). `records/N.tlog-proof` (C2SP
   tlog-proof) holds the path (RFC 9162, 2.1.3) from there to the root in the checkpoint:

       import base64, hashlib, pathlib
       sha = lambda data: hashlib.sha256(data).digest()
       read = lambda end: pathlib.Path("records/N" + end).read_bytes()
       text = read(".tlog-proof").decode().split("\\n")
       end = text.index("")
       at, path = int(text[1].split()[1]), [base64.b64decode(line) for line in text[2:end]]
       size, root = int(text[end + 2]), base64.b64decode(text[end + 3])
       node, last = sha(b"\\0" + read(".cose")), size - 1
       for other in path:
           if at & 1 or at == last:
               node = sha(b"\\1" + other + node)
               while not at & 1 and at:
                   at, last = at >> 1, last >> 1
           else:
               node = sha(b"\\1" + node + other)
           at, last = at >> 1, last >> 1
       print(last == 0 and node == root)

f) Completeness: `subject.json` lists the leaf hashes of all records about the subject. Begin
   with 32 zero bytes and take h = SHA-256(0x04 || h || leaf) for each in turn: the last h, in
   base64url, is `head` in `state.value`, and the number of leaves is `count`. `state.proof` leads
   from that value to `state_root` in the seal of the head, `head.entry` (another COSE_Sign1):
   the key is SHA-256("subject" || 0x00 || the subject), an item is key || SHA-256(value).
   The proof is n as two bytes, n hashes of 32 bytes, root side first, and a bucket of items.
   Begin with SHA-256(0x02 || bucket), or 32 zero bytes where the bucket is empty (then there is
   no such value, nor where no item of the bucket has the key); then for d = n - 1 down to 0 take
   SHA-256(0x03 || left || right), the hash so far on the right where bit d of the key is 1
   (from the most significant). The seal is the last entry of the tree: `head.path` leads from it
   to the root as in e. `states/` holds further values in the same form, among them the
   log of what was recorded on each of these records (`subject/record:` and its leaf hash).
g) Effect: a record that confers rights took effect only where its `decision` in `dossier.json` is
   EFFECTIVE (from the value `decision/` and its leaf hash in `states/`). `findings` are what the
   rules of the ledger found at once, like a use without a permit. What a type of record may hold
   is in `schemas/` (JSON Schema 2020-12).
h) Certificates of rights, if there are any, in `certificates/`: `alliance certificate verify`.
   Of some only the record may be there (`dossier.json`): their calculation is then not inside.

The whole specification is `ledger/SPEC.md` of the software, clauses 2, 3, 6, 9 and 12.
"""

README_ZH: Final = """\
证据卷宗（alliance-dossier/1）                                英文：README.txt

主体      {subject}
链        {origin}
固定值    {pin}
链头      {size} 个条目，根 {root}
          区块 {height}，封块时间 {time}（UTC）
内容      关于该主体的记录 {about} 条，截至该链头完整；共收录记录 {count} 条

一、这是什么

多家机构共同维护一份科研数据账本。每条记录由制作者签名，并在一份只增不减的列表（默克尔树）中
占有固定位置。法定数量的机构对该列表的根签名，即上述链头。本压缩包收录账本中关于一个主体的内容，
以及脱离账本、其软件及其运营者即可核验这些内容所需的一切。

二、证明什么

- 其中每条记录均以所列机构的密钥签名，且在链头签署时已在账本之中；其位置表明哪些记录在其之前。
- 关于该主体的记录即链头时的全部记录，针对其中各条的记录（评审、决定、裁决、更正）亦然：没有遗漏。
  它们所指明的依据也一并收录。
- 记录时间为收录该记录的区块的时间，由各机构封定。

三、不证明什么

{limits}

四、信任的起点

所有密钥均由文件 `genesis` 推导。它是否为您所知的那条链的创世文件，须由您经其他途径确认：请将
固定值与从联盟机构、公开出版物或公证处取得的固定值比对。固定值不同，即属另一条链。

五、用工具核验

    alliance dossier verify FILE.zip --pin PIN          （或 --genesis FILE）

无需联网，并给出结论；同时将包内每个文件（包括本文件）与证明所推导的内容比对。请勿解压后重新打包，
应直接提供原文件。

六、用标准工具手工核验

文件名即包内文件名；N 代表记录编号。base64url 按 RFC 4648，不带填充。

a) 文件：`sha256sum -c MANIFEST`。仅能表明副本完整。
b) 固定值：`genesis` 由条目组成，每个条目前有两字节大端长度。固定值为
   SHA-256(0x00 || 最后一个条目) 的 base64url。第一个条目载有成员及其密钥。
c) 链头：`checkpoint` 为签名便笺（C2SP signed-note、tlog-checkpoint）：名称、条目数、根。
   `policy`（C2SP tlog-policy）载有可签名的密钥及所需数量。日志密钥的签名行为
   base64(4 字节密钥标识 || 对正文的 Ed25519 签名)，正文到空行之前的换行符（含）为止。联署者的
   签名行（C2SP tlog-cosignature）为 base64(4 字节密钥标识 || 8 字节 POSIX 时间 T ||
   对 "cosignature/v1\\ntime T\\n" || 正文 的 Ed25519 签名)。密钥见 `keys.json`；第一纪元的密钥
   载于 `genesis`，后续纪元的载于 `subject.json` 的 `boundaries`。
d) 记录：`records/N.cose` 为原始字节，即 COSE_Sign1（RFC 9052）。其载荷即 `records/N.json` 中
   `record` 所示 JSON。被签内容为 CBOR 数组 ["Signature1", 受保护头, h'', 载荷]，算法为 Ed25519
   （alg -8）或 ES256（alg -7）；密钥标识在受保护头的 4 号项，密钥见 `keys.json`：`records` 下并有
   有效期（由 `records/N.receipt.json` 中的 `key` 证明，形式同 f 项），节点密钥在 `epochs` 下。
e) 收录：叶哈希为 SHA-256(0x00 || N.cose 的字节)。`records/N.tlog-proof`（C2SP tlog-proof）载有
   从叶到检查点之根的路径（RFC 9162 第 2.1.3 节）；可运行的 Python 程序见 README.txt 第 6 e 项。
f) 完整性：`subject.json` 列出关于该主体的全部记录的叶哈希。从 32 个零字节开始，依次取
   h = SHA-256(0x04 || h || 叶哈希)：最后的 h（base64url）即 `state.value` 中的 `head`，叶的数量即
   `count`。`state.proof` 由该值通向链头封块 `head.entry`（亦为 COSE_Sign1）中的 `state_root`：键为
   SHA-256("subject" || 0x00 || 主体)，项为 键 || SHA-256(值)。证明依次为两字节的 n、n 个 32 字节
   哈希（靠根者在前）和由若干项组成的桶。先取 SHA-256(0x02 || 桶)，桶为空则取 32 个零字节（桶中没有
   该键的项，即证明该值不存在），再令 d 从 n - 1 递减到 0，取
   SHA-256(0x03 || 左 || 右)；键的第 d 位（从最高位数起）为 1 时，已得哈希在右。封块是树的最后一个
   条目：`head.path` 由它按 e 项通向根。`states/` 载有同样形式的其他状态值，其中包括针对各条记录的
   日志（`subject/record:` 加其叶哈希）。
g) 效力：授予权利的记录，仅当其在 `dossier.json` 中的 `decision` 为 EFFECTIVE 时才已生效（取自
   `states/` 中 `decision/` 加其叶哈希的值）。`findings` 为账本规则当即发现的问题，例如无许可使用。
   各类记录可含的内容见 `schemas/`（JSON Schema 2020-12）。
h) 若有权益凭证，见 `certificates/`：`alliance certificate verify`。部分凭证可能仅有记录
   （见 `dossier.json`），不含其计算。

完整规范为软件中的 `ledger/SPEC.md`，第 2、3、6、9、12 章。
"""


def limits_text(chinese: bool) -> str:
    """What no dossier proves: what no certificate does, and what is not inside."""
    texts = [RIGHTS_TEXTS[f"no-limits-{name}"] for name in LIMITS]
    texts += [DOSSIER_TEXTS[f"dossier-no-{name}"] for name in NOT_INSIDE]
    return "\n".join(f"- {text.zh if chinese else text.en}" for text in texts)


def explain(facts: Mapping[str, str | int]) -> dict[str, bytes]:
    """The explanations in a dossier."""
    return {
        "README.txt": README_EN.format(limits=limits_text(chinese=False), **facts).encode(),
        "README.zh-CN.txt": README_ZH.format(limits=limits_text(chinese=True), **facts).encode(),
    }
