"""X10: the words of a command line that cannot be carried out."""

from ledger.rulebook.rule import Rule

HELP = "See `{command} --help`."
HELP_ZH = "请查看 `{command} --help`。"

USAGE: dict[str, Rule] = {
    "X10.unknown": Rule(
        "`{command}` does not know `{word}`.",
        "`{command}` 不认识 `{word}`。",
        HELP,
        HELP_ZH,
    ),
    "X10.near": Rule(
        "`{command}` does not know `{word}`.",
        "`{command}` 不认识 `{word}`。",
        "Did you mean `{near}`? See also `{command} --help`.",
        "您是否要用 `{near}`？另请查看 `{command} --help`。",
    ),
    "X10.missing": Rule(
        "`{command}` needs `{word}`.",
        "`{command}` 缺少 `{word}`。",
        "Give it; `{command} --help` says what it is.",
        "请给出；其含义见 `{command} --help`。",
    ),
    "X10.alone": Rule(
        "A value must stand after `{word}`.",
        "`{word}` 之后须有取值。",
        HELP,
        HELP_ZH,
    ),
    "X10.flag": Rule(
        "`{word}` takes no value.",
        "`{word}` 不带取值。",
        "Leave out = and what stands after it; see `{command} --help`.",
        "请去掉 = 及其后的内容；另请查看 `{command} --help`。",
    ),
    "X10.extra": Rule(
        "`{command}` takes fewer words: `{word}` is too much.",
        "`{command}` 不需要多余的 `{word}`。",
        "Put quotation marks around a value with spaces; see `{command} --help`.",
        "含空格的值请加引号；另请查看 `{command} --help`。",
    ),
    "X10.number": Rule(
        "`{word}` takes a whole number.",
        "`{word}` 须为整数。",
        HELP,
        HELP_ZH,
    ),
    "X10.range": Rule(
        "`{word}` takes a whole number x with {range}.",
        "`{word}` 须为满足 {range} 的整数 x。",
        HELP,
        HELP_ZH,
    ),
    "X10.choice": Rule(
        "`{word}` takes one of {choices}.",
        "`{word}` 须为下列之一：{choices}。",
        HELP,
        HELP_ZH,
    ),
    "X10.value": Rule(
        "The value of `{word}` cannot be read.",
        "无法读取 `{word}` 的取值。",
        HELP,
        HELP_ZH,
    ),
    "X10.words": Rule(
        "`{command}` cannot be carried out with these words.",
        "`{command}` 无法按所给参数执行。",
        HELP,
        HELP_ZH,
    ),
}
