"""What the words of a match mean: why use terms say HUMAN or DENY (SPEC 5.9)."""

from ledger.rulebook.findings import Finding

REASONS: dict[str, Finding] = {
    "age-category": Finding("the study is about people of an age", "研究针对特定年龄人群"),
    "ancestry": Finding("no research on ancestry", "不得用于族源研究"),
    "collaboration": Finding("only with the collaborators named", "须与指定方合作"),
    "disease-unknown": Finding(
        "the vocabulary does not know a disease of the study", "词表中没有研究涉及的某种疾病"
    ),
    "for-profit": Finding("no for-profit use", "不得用于营利"),
    "foreign-party": Finding("a foreign party takes part", "有境外方参与"),
    "gender-category": Finding("the study is about people of a gender", "研究针对特定性别人群"),
    "genetic-only": Finding("for genetic studies only", "仅限遗传研究"),
    "illegal-behaviour": Finding("the study is about illegal behaviour", "研究涉及违法行为"),
    "important-data": Finding("the data are important data", "属于重要数据"),
    "method-development": Finding("no development of methods", "不得用于方法开发"),
    "model-training": Finding(
        "no training of models without a resolution of its own", "未经专门决议不得训练模型"
    ),
    "no-clinical-care": Finding("no use in clinical care", "不得用于临床诊疗"),
    "no-compute-node": Finding("the study names no compute node", "研究未列明计算节点"),
    "no-disease": Finding("the study names no disease", "研究未列明疾病"),
    "no-filing-number": Finding(
        "human genetic resources and a foreign party, without a filing number",
        "涉及人类遗传资源且有境外方参与，但无备案号",
    ),
    "no-permission": Finding("the data name no permitted use", "数据未声明允许的用途"),
    "not-ancestry": Finding("for research on ancestry only", "仅限族源研究"),
    "not-biomedical": Finding("for biomedical research only", "仅限生物医学研究"),
    "one-gender": Finding("the study is about one gender", "研究仅针对单一性别"),
    "other-disease": Finding("for other diseases", "限于其他疾病"),
    "other-institution": Finding("for other institutions", "限于其他机构"),
    "other-project": Finding("for other projects", "限于其他项目"),
    "other-users": Finding("for other people", "限于其他人员"),
    "outside-region": Finding("computes outside the region allowed", "计算节点不在允许地区"),
    "paediatric": Finding("the study is about children", "研究涉及儿童"),
    "psychological-traits": Finding("the study is about psychological traits", "研究涉及心理特征"),
    "region-unknown": Finding("a compute node's region is unknown", "某计算节点所在地区未知"),
    "research-topic": Finding("for the topic named only", "仅限指定主题"),
    "stigmatised-disease": Finding(
        "the study is about a stigmatised disease", "研究涉及易受歧视的疾病"
    ),
    "vulnerable-population": Finding(
        "the study is about a vulnerable population", "研究涉及弱势群体"
    ),
}
"""By the word behind the stroke of a reason, like `other-disease` of `DUO:0000007/other-disease`.
"""
