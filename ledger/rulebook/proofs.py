"""M, A, N: proofs of the tree, the map and notes."""

from ledger.rulebook.rule import Rule

AGAIN = "Ask for the proof again, from another member if need be; do not rely on this one."
AGAIN_ZH = "请重新索取证明，必要时向其他成员索取；请勿依赖此证明。"
COPY = "Copy the file again, whole and unchanged."
COPY_ZH = "请完整、不加改动地重新复制文件。"

PROOFS: dict[str, Rule] = {
    "M1": Rule(
        "A tree proof is malformed: positions out of range, or hashes that are not 32 bytes.",
        "树证明格式错误：位置越界，或哈希不是 32 字节。",
        AGAIN,
        AGAIN_ZH,
    ),
    "M2": Rule(
        "The inclusion proof does not lead from the entry to the root.",
        "包含证明不能从条目推导到根。",
        AGAIN,
        AGAIN_ZH,
    ),
    "M3": Rule(
        "The consistency proof does not lead from the old root to the new one: the history may have been rewritten.",
        "一致性证明不能从旧根推导到新根：历史可能被改写。",
        "Keep both tree heads; together they are evidence. Compare with other members.",
        "请保留两个树头，二者合为证据；并与其他成员比较。",
    ),
    "M4": Rule(
        "This path names no tile.",
        "该路径不指向任何瓦片。",
        "See C2SP tlog-tiles.",
        "参见 C2SP tlog-tiles。",
    ),
    "A1": Rule(
        "The proof does not lead from this key to the state root.",
        "证明不能从该键推导到状态根。",
        AGAIN,
        AGAIN_ZH,
    ),
    "N1": Rule("This is not a verifier key.", "这不是验证密钥。", COPY, COPY_ZH),
    "N2": Rule(
        "A key name or origin is empty, or holds a space or a plus sign.",
        "密钥名称或来源为空，或含空格、加号。",
        COPY,
        COPY_ZH,
    ),
    "N3": Rule("This is not a signed note.", "这不是签名注记。", COPY, COPY_ZH),
    "N4": Rule(
        "The signature of {name} on the note does not verify.",
        "{name} 在注记上的签名验证失败。",
        AGAIN,
        AGAIN_ZH,
    ),
    "N5": Rule(
        "No key that is known here signed the note.",
        "没有此处已知的密钥签署该注记。",
        "Check that genesis or policy belong to this chain.",
        "请确认创世文件或策略属于本链。",
    ),
    "N6": Rule("This is not a checkpoint of three lines.", "这不是三行的检查点。", COPY, COPY_ZH),
    "N7": Rule("This is not a policy file.", "这不是策略文件。", COPY, COPY_ZH),
    "N8": Rule(
        "This is not an offline proof (.tlog-proof).",
        "这不是离线证明（.tlog-proof）。",
        COPY,
        COPY_ZH,
    ),
    "N9": Rule(
        "The checkpoint does not have the signatures that the policy asks for.",
        "检查点没有策略所要求的签名。",
        "Wait until more members have cosigned, and ask again.",
        "请等待更多成员联署后重新索取。",
    ),
}
