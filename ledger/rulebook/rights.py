"""W: provenance, attribution, what leaves the alliance, and rights."""

from ledger.rulebook.rule import Rule

ATTRIBUTION = {
    "W1": Rule(
        "More than {limit} records lie on the way.",
        "途经的记录超过 {limit} 条。",
        "Ask about one object further along the way.",
        "请改为查询途中的某一个对象。",
    ),
    "W2": Rule(
        "Nobody holds a share: no custodian, contributor or provider was reached.",
        "没有任何份额持有者：未追溯到保管方、贡献者或算力提供方。",
        "Have the contributions confirmed first, or set a policy whose pools are not all empty.",
        "请先确认贡献，或制定份额池不全为零的策略。",
    ),
    "W3": Rule(
        "The measured weights do not name exactly the datasets used, each with a positive number.",
        "测定权重未恰好涵盖所用的各数据集，或含有非正数。",
        "Give each dataset that the runs used a positive weight.",
        "请为每个被使用的数据集给出正的权重。",
    ),
    "W4": Rule(
        "The dataset {leaf} has no custodian in this graph.",
        "此图中数据集 {leaf} 没有保管方。",
        "Take the graph from the chain again.",
        "请重新从链上获取该图。",
    ),
}

RIGHTS_RULES: dict[str, Rule] = {**ATTRIBUTION}
