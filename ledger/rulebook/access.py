"""P: who may ask for what, and when."""

from ledger.rulebook.rule import Rule

TABLE = "SPEC 13.3 has the table of all routes and roles; use a key of another capacity (`--key`), or ask somebody who holds one."
TABLE_ZH = "所有接口与角色见 SPEC 13.3；请使用其他身份的密钥（`--key`），或请持有者代办。"

ACCESS: dict[str, Rule] = {
    "P1": Rule(
        "A key of the role {role} may not use {route}.",
        "{role}角色的密钥不能使用 {route}。",
        TABLE,
        TABLE_ZH,
    ),
    "P2": Rule(
        "The time of the key {kid} is over: it may still hand in records, and read nothing.",
        "密钥 {kid} 已过期：仍可提交记录，但不能读取。",
        "Register a new key with `alliance key register`.",
        "请用 `alliance key register` 登记新密钥。",
    ),
    "P3": Rule(
        "The API key {id} lacks the scope {scope} that {route} asks for.",
        "API 密钥 {id} 缺少 {route} 所需的权限 {scope}。",
        "Make one with that scope: `alliance apikey new --scope {scope}`.",
        "请创建具有该权限的密钥：`alliance apikey new --scope {scope}`。",
    ),
    "P4": Rule(
        "{route} is for the people and systems of {org}, whose node this is.",
        "{route} 仅供本节点所属机构 {org} 的人员与系统使用。",
        "Ask your own organisation's node.",
        "请使用本机构的节点。",
    ),
    "P5": Rule(
        "The API key is unknown, revoked, or its time is over.",
        "API 密钥未知、已吊销或已过期。",
        "See `alliance apikey list` on the machine of the node; make a new one with `alliance apikey new`.",
        "请在节点所在机器上查看 `alliance apikey list`；可用 `alliance apikey new` 创建新密钥。",
    ),
    "P6": Rule(
        "A researcher reads the records about persons of the own name only, not {subject}.",
        "研究人员只能读取关于本人的记录，不能读取 {subject}。",
        "Ask your organisation's officer, or an auditor.",
        "请联系本机构的授权负责人或审计员。",
    ),
    "P7": Rule(
        "The code is unknown, was used before, or is older than {seconds} seconds.",
        "代码未知、已使用，或已超过 {seconds} 秒。",
        "Run `alliance login` again, and open its address at once.",
        "请重新运行 `alliance login`，并立即打开其给出的地址。",
    ),
    "P8": Rule(
        "There is no session, or it is over.",
        "没有会话，或会话已结束。",
        "Run `alliance login` on your machine.",
        "请在您的电脑上运行 `alliance login`。",
    ),
    "P9": Rule(
        "What was sent does not come from a page of this node and session.",
        "所提交的内容并非来自本节点本会话的页面。",
        "Open the page anew, and send its form. If you did not send anything, another site tried to: close it.",
        "请重新打开页面并提交其表单。如非您本人提交，则为其他网站所为，请将其关闭。",
    ),
}
