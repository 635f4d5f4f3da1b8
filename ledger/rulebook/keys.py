"""C: keys and key files."""

from ledger.rulebook.rule import Rule

KEYS: dict[str, Rule] = {
    "C1": Rule(
        "This public key may not be used: it is of small order, not canonical, or not on its curve.",
        "该公钥不可使用：其阶过小、编码不规范，或不在曲线上。",
        "Make a new key with `alliance keys new`.",
        "请用 `alliance keys new` 生成新密钥。",
    ),
    "C2": Rule(
        "The file holds no private key in PKCS#8 or OpenSSH form.",
        "文件中没有 PKCS#8 或 OpenSSH 形式的私钥。",
        "Name the right file.",
        "请指定正确的文件。",
    ),
    "C3": Rule(
        "The key file is encrypted, and the passphrase is missing or wrong.",
        "密钥文件已加密，而口令缺失或错误。",
        "Set ALLIANCE_PASSPHRASE or use --passphrase-file.",
        "请设置 ALLIANCE_PASSPHRASE 或使用 --passphrase-file。",
    ),
    "C4": Rule(
        "Keys of this kind are not used here; Ed25519 and P-256 are.",
        "此处不使用该类密钥；可用 Ed25519 与 P-256。",
        "Make a new key with `alliance keys new`.",
        "请用 `alliance keys new` 生成新密钥。",
    ),
    "C5": Rule(
        "The key file is encrypted in a way that is not supported here.",
        "密钥文件的加密方式此处不支持。",
        "Save the key as encrypted PKCS#8 and name that file.",
        "请将密钥另存为加密的 PKCS#8 文件，并指定该文件。",
    ),
    "C6": Rule(
        "These bytes are no certificate of a kind that is known here.",
        "这些字节不是此处可识别的证书。",
        "Name the right file.",
        "请指定正确的文件。",
    ),
}
