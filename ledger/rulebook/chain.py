"""L: what a block must fulfil, block 0 included."""

from ledger.rulebook.rule import Rule

DISTRUST = "Do not build on this block or copy; compare it with another member's and report the difference."
DISTRUST_ZH = "请勿采用该区块或副本；请与其他成员的副本比较并报告差异。"
FOUNDING = (
    "Found the chain again with `alliance init` or `alliance create`, or ask for the right file."
)
FOUNDING_ZH = "请用 `alliance init` 或 `alliance create` 重新建链，或索取正确的文件。"

CHAIN: dict[str, Rule] = {
    "L1.header": Rule(
        "The seal's header does not name the chain and its proposer.",
        "封块头部未指明链及其提议者。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L2": Rule(
        "The seal of block {height} does not follow the block before it: {field} is wrong.",
        "区块 {height} 的封块未接续前一区块：{field} 错误。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L3.leader": Rule(
        "Block {height} is not sealed with the node key of {org}, whose turn it was.",
        "区块 {height} 未由轮值成员 {org} 的节点密钥封块。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L3.signature": Rule(
        "The signature of {org} on the seal of block {height} does not verify.",
        "{org} 在区块 {height} 封块上的签名验证失败。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L4": Rule(
        "The time of block {height} is not later than that of the block before it.",
        "区块 {height} 的时间不晚于前一区块。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L5.empty": Rule(
        "Block {height} holds no entry besides its seal.",
        "区块 {height} 除封块外没有条目。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L5.large": Rule(
        "Block {height} is larger than the epoch's limits allow.",
        "区块 {height} 超出本纪元的限制。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L6": Rule(
        "The entries of block {height} are not those that its seal commits to.",
        "区块 {height} 的条目与封块承诺不符。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L7": Rule(
        "The findings of block {height} are not those that its seal commits to.",
        "区块 {height} 的发现项与封块承诺不符。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L8": Rule(
        "The rule state after block {height} is not the one that its seal commits to.",
        "区块 {height} 之后的规则状态与封块承诺不符。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L9": Rule(
        "Entry {index} does not belong on the chain: it breaks rule {inner}.",
        "条目 {index} 不应在链上：违反规则 {inner}。",
        DISTRUST,
        DISTRUST_ZH,
    ),
    "L10": Rule(
        "These bytes are no block 0: it holds a genesis, the founders' acceptances and a seal.",
        "这些字节不是零号区块：它应含创世记录、创始方接受记录和封块。",
        FOUNDING,
        FOUNDING_ZH,
    ),
    "L11": Rule(
        "Block 0 must hold one acceptance of each founder, in the genesis' order.",
        "零号区块须按创世顺序含每个创始方的一份接受记录。",
        FOUNDING,
        FOUNDING_ZH,
    ),
    "L12": Rule(
        "A founding record of {org} is not signed with an officer's key of the genesis.",
        "{org} 的创始记录未用创世中的授权人员密钥签署。",
        FOUNDING,
        FOUNDING_ZH,
    ),
    "L13": Rule(
        "The acceptance of {org} is for another genesis.",
        "{org} 的接受记录针对另一创世。",
        FOUNDING,
        FOUNDING_ZH,
    ),
    "L14": Rule(
        "Founders, node operators and officers' keys of the genesis do not name the same organisations, or name one or a key twice; or its configuration is not that of epoch 0 without a chain id.",
        "创世中的创始方、节点运营方与授权人员密钥所指机构不一致，或机构、密钥重复；或其配置不是不带链标识的第 0 纪元配置。",
        FOUNDING,
        FOUNDING_ZH,
    ),
    "L15": Rule(
        "The chain follows rules of version {version}; this software knows version {known}.",
        "该链遵循规则版本 {version}；本软件支持版本 {known}。",
        "Use software that knows these rules.",
        "请使用支持该规则版本的软件。",
    ),
    "L16": Rule(
        "The seal of block 0 does not fit its records.",
        "零号区块的封块与其记录不符。",
        FOUNDING,
        FOUNDING_ZH,
    ),
    "L17": Rule(
        "In block {height} entries stand after the one that activated the next configuration.",
        "区块 {height} 中，激活下一份配置的条目之后仍有条目。",
        DISTRUST,
        DISTRUST_ZH,
    ),
}
