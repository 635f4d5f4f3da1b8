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
    "W5": Rule(
        "The parameters of attribution do not work out: pools must make 10,000 basis points, kappa at most one, and some degree must weigh.",
        "核算参数不成立：各份额池须合计 10,000 基点，kappa 不得超过一，且至少一种程度有权重。",
        "Correct attribution in the policy.",
        "请更正策略中的 attribution。",
    ),
}

OUTPUTS = {
    "W10": Rule(
        "A result with the id {result} is registered already.",
        "编号为 {result} 的成果已登记。",
        "Give the new result an id of its own; name the earlier one in supersedes.",
        "请为新成果使用新的编号；并在 supersedes 中注明原成果。",
    ),
    "W11": Rule(
        "The entry {leaf} is no {type} that is in effect.",
        "条目 {leaf} 不是已生效的 {type}。",
        "Name the record that registered it by its leaf hash.",
        "请用登记该对象的记录的叶哈希。",
    ),
    "W12": Rule(
        "The result names a file twice.",
        "成果重复列出同一文件。",
        "List each file once.",
        "每个文件只列一次。",
    ),
    "W13": Rule(
        "The request {request} exists already, and this is not its next submission.",
        "申请 {request} 已存在，而本记录不是它的下一次提交。",
        "Use a new id, or name the newest submission of a returned request in revises.",
        "请使用新的编号，或在 revises 中注明被退回申请的最近一次提交。",
    ),
    "W15": Rule(
        "A file of the request is named twice, or is not a file of the result.",
        "申请中的文件重复，或不属于该成果。",
        "Ask for files of the result, each once, by the digests that the result states.",
        "请按成果所列摘要申请其文件，每个只列一次。",
    ),
    "W16": Rule(
        "Whoever asks that files leave must sign as the author, a member of the team of {study}.",
        "申请出域者须以作者身份签名，且为 {study} 团队成员。",
        "Have a person of the study's team sign with the key that is bound to the pid named.",
        "请由研究团队成员用与所列假名绑定的密钥签名。",
    ),
    "W17": Rule(
        "The permit {permit} does not cover this result, or ended too long ago.",
        "许可 {permit} 不涵盖该成果，或结束已久。",
        "Name the permit of the runs that made the result; the policy says how long after its end files may still leave.",
        "请注明产生该成果的运行所依据的许可；策略规定其结束后多久内仍可出域。",
    ),
    "W18": Rule(
        "The decision {decision} is not possible while the request is {status}.",
        "申请处于 {status} 时不能作出 {decision}。",
        "See the diagram of requests for egress in SPEC.md.",
        "参见 SPEC.md 中的出域申请状态图。",
    ),
    "W18.request": Rule(
        "The entry {leaf} is not the newest submission of a request.",
        "条目 {leaf} 不是某申请的最近一次提交。",
        "Decide on the newest submission: what was changed must be reviewed anew.",
        "请就最近一次提交作出决定：有改动须重新审查。",
    ),
    "W19": Rule(
        "The file {digest} lacks {needed} approvals of different people, one of them from another institution, or somebody rejects it.",
        "文件 {digest} 缺少 {needed} 名不同人员（至少一名来自其他机构）的同意，或有人反对。",
        "Wait for the reviews; return the request when somebody rejects.",
        "请等待审查；若有人反对，请退回申请。",
    ),
    "W20": Rule(
        "The disclosure check failed for an output, and no exception is stated.",
        "某项输出未通过披露检查，且未注明例外。",
        "Return the request, or state the code of the exception that applies.",
        "请退回申请，或注明适用的例外代码。",
    ),
    "W21": Rule(
        "The files released are not files of the request, each once; or files are named where none are released.",
        "放行的文件不是申请中的文件（每个一次）；或在不放行时列出了文件。",
        "Name files of the request, and only when they are released.",
        "只在放行时列出申请中的文件。",
    ),
    "W22": Rule(
        "The author and the study's team do not decide on their own output; and only the author withdraws.",
        "作者及研究团队不得决定自己的输出；且只有作者可以撤回。",
        "Have an output checker outside the team sign the decision.",
        "请由团队之外的输出审查人签署决定。",
    ),
}

CREDIT = {
    "W30": Rule(
        "The entry {leaf} is no object that people contribute to.",
        "条目 {leaf} 不是可登记贡献的对象。",
        "Name a dataset version, an indicator version or a result by its leaf hash.",
        "请用数据集版本、指标版本或成果的叶哈希。",
    ),
    "W31": Rule(
        "The entry {leaf} is no contribution.",
        "条目 {leaf} 不是贡献记录。",
        "Name the claim by its leaf hash.",
        "请用贡献声明的叶哈希。",
    ),
    "W32": Rule(
        "The decision {decision} is not possible for a contribution that is {status}.",
        "贡献处于 {status} 时不能作出 {decision}。",
        "A contribution is decided once; open a dispute against a wrong decision.",
        "贡献只决定一次；对错误的决定请提出争议。",
    ),
    "W33": Rule(
        "The contribution {leaf} is confirmed by whoever answers for the object, and never by the person who claims it.",
        "贡献 {leaf} 须由该对象的责任方确认，且不得由声明人本人确认。",
        "Have another officer of that organisation sign, or the principal investigator of the result.",
        "请由该机构的另一名授权人员或成果的主要研究者签署。",
    ),
    "W34": Rule(
        "A degree is stated if, and only if, the contribution is amended.",
        "仅在修正贡献时须注明程度。",
        "Add the degree to an amendment, or leave it out.",
        "修正时请填写程度，否则请省略。",
    ),
    "W35": Rule(
        "The object has {limit} parts already.",
        "该对象已有 {limit} 项贡献。",
        "Have units (科室) claim for their people.",
        "请由科室代表其人员声明。",
    ),
    "W36": Rule(
        "A notice with the id {notice} is on the chain already.",
        "编号为 {notice} 的公示已在链上。",
        "Use a new id.",
        "请使用新的编号。",
    ),
    "W37": Rule(
        "A notice stays open for {days} days at least from when it is recorded, and states a day that has come.",
        "公示自记录之时起至少开放 {days} 天，且基准日不得晚于当天。",
        "Set closes later; set as_of to today or before.",
        "请推迟 closes；并将 as_of 设为今天或更早。",
    ),
    "W38": Rule(
        "The notice does not state the policy in force, or not what the chain calculates.",
        "公示所述策略不是现行策略，或与链上计算不符。",
        "Ask the node for the calculation again (alliance credit), then sign.",
        "请重新向节点查询计算结果（alliance credit）后再签署。",
    ),
    "W39": Rule(
        "A certificate with the number {certificate} is on the chain already.",
        "编号为 {certificate} 的凭证已在链上。",
        "Use a new number.",
        "请使用新的编号。",
    ),
    "W40": Rule(
        "The entry {notice} is no notice of this object.",
        "条目 {notice} 不是该对象的公示。",
        "Publish a notice first and name it by its leaf hash.",
        "请先公示，并用其叶哈希引用。",
    ),
    "W41": Rule(
        "The notice {notice} is still open for objections.",
        "公示 {notice} 仍在异议期内。",
        "Wait until it closes.",
        "请等待公示结束。",
    ),
    "W42": Rule(
        "What the certificate states is not what every node calculates ({digest}), or not what was shown in the notice.",
        "凭证所述与各节点计算结果（{digest}）不符，或与公示不符。",
        "Publish a new notice: something changed since.",
        "此后已有变化：请重新公示。",
    ),
    "W43": Rule(
        "The record {leaf}, on which the certificate rests, is in dispute.",
        "凭证所依据的记录 {leaf} 存在争议。",
        "Have the committee rule on the dispute first.",
        "请先由委员会裁决争议。",
    ),
    "W44": Rule(
        "The right {right} rests on no record that is in effect.",
        "权利 {right} 没有已生效的依据记录。",
        "Name the agreement, decision or resolution by its leaf hash.",
        "请用协议、决定或决议的叶哈希注明依据。",
    ),
    "W45": Rule(
        "The certificate is valid from its day, which has come, to {limit} at most, and not over already.",
        "凭证有效期自基准日起至多到 {limit}；基准日不得晚于当前，有效期不得已经届满。",
        "Set as_of to a day that has come, and valid_until within the policy's term.",
        "请将 as_of 设为不晚于今日的日期，并将 valid_until 设在策略期限之内。",
    ),
    "W46": Rule(
        "The certificate names {certificate} as the one that it replaces, which is not the one in force.",
        "凭证所替代的 {certificate} 不是现行凭证。",
        "Name the leaf hash of the object's certificate in force, or none if there is none.",
        "请注明该对象现行凭证的叶哈希；若无则省略。",
    ),
}

UPKEEP = {
    "W50": Rule(
        "A dispute with the id {dispute} is on the chain already.",
        "编号为 {dispute} 的争议已在链上。",
        "Use a new id.",
        "请使用新的编号。",
    ),
    "W50.claimant": Rule(
        "{org} objects in its own name, and not in that of {claimant}.",
        "{org} 只能以本机构的名义提出争议，不得以 {claimant} 的名义提出。",
        "Name the own organisation, or one of its units or people, as the claimant.",
        "请以本机构、本机构的科室或人员为争议提出方。",
    ),
    "W51": Rule(
        "{org} has {limit} open disputes on this record already.",
        "{org} 对该记录已有 {limit} 项未决争议。",
        "Wait for the committee's rulings.",
        "请等待委员会裁决。",
    ),
    "W52": Rule(
        "The entry {leaf} is no open dispute.",
        "条目 {leaf} 不是未决的争议。",
        "Name an open dispute by its leaf hash.",
        "请用未决争议的叶哈希。",
    ),
    "W53": Rule(
        "A ruling rests on a resolution of the committee to decide or to discipline.",
        "裁决须依据委员会的决定类或纪律类决议。",
        "Record such a resolution first and refer to it.",
        "请先记录此类决议并引用之。",
    ),
    "W54": Rule(
        "{org} is a party of the dispute and does not rule on it.",
        "{org} 是争议当事方，不得裁决。",
        "Have a member that is no party sign.",
        "请由非当事成员签署。",
    ),
    "W55": Rule(
        "What the ruling orders for {leaf} is not possible.",
        "裁决对 {leaf} 的命令无法执行。",
        "Revoke a certificate in force or withdraw a confirmed contribution; a rejected dispute orders nothing.",
        "请撤销现行凭证或收回已确认的贡献；被驳回的争议不得附命令。",
    ),
    "W56": Rule(
        "The record {leaf} has no open finding {code}.",
        "记录 {leaf} 没有未决的发现项 {code}。",
        "Look up the open findings of the record.",
        "请查询该记录未决的发现项。",
    ),
    "W57": Rule(
        "{org} made the record itself and does not resolve its findings.",
        "该记录由 {org} 所作，{org} 不得自行处置其发现项。",
        "Have the committee or the custodian sign.",
        "请由委员会或保管方签署。",
    ),
    "W57.data": Rule(
        "The record {leaf} is not about the dataset {dataset}.",
        "记录 {leaf} 与数据集 {dataset} 无关。",
        "Name the dataset that the access or run used, or leave it to the committee.",
        "请注明该访问或运行所用的数据集，或交由委员会处置。",
    ),
    "W58": Rule(
        "An assessment is of a period and rests on a resolution to assess.",
        "考核须有起止期间，并依据考核类决议。",
        "Correct the period, and refer to a resolution of kind assess.",
        "请更正期间，并引用 assess 类决议。",
    ),
    "W59": Rule(
        "{org} holds no payload {commit} of that record, or has erased it already.",
        "{org} 不持有该记录的载荷 {commit}，或已将其擦除。",
        "State what this holder erased, each payload once.",
        "请只声明本持有者所擦除的载荷，每项一次。",
    ),
}

FILES = {
    "W60": Rule(
        "The first receipt of the file is not that of a certificate.",
        "文件的首份回执不是凭证的回执。",
        "Ask whoever handed it out for the certificate file again.",
        "请向出示方重新索取凭证文件。",
    ),
    "W61": Rule(
        "The certificate {certificate} has not taken effect: the committee's decision is not complete.",
        "凭证 {certificate} 尚未生效：委员会决定未完成。",
        "Do not rely on it; ask for a file made after the decision.",
        "请勿采信；请索取决定生效之后制作的文件。",
    ),
    "W62": Rule(
        "The record {leaf} is missing in the file, or does not say what the calculation says of it.",
        "文件缺少记录 {leaf}，或其内容与计算所述不符。",
        "Do not rely on the file; ask a node for it again.",
        "请勿采信该文件；请重新向节点获取。",
    ),
    "W63": Rule(
        "The parameters of the calculation are not those of the policy that it names.",
        "计算参数与其所引策略不符。",
        "Do not rely on the file; ask a node for it again.",
        "请勿采信该文件；请重新向节点获取。",
    ),
    "W64": Rule(
        "The shares, worked out again ({digest}), are not those that the committee signed.",
        "重新计算的份额（{digest}）与委员会签署的不一致。",
        "Do not rely on the file; ask a node for it again.",
        "请勿采信该文件；请重新向节点获取。",
    ),
    "W65": Rule(
        "The file does not prove the value {key} of the rule state.",
        "文件未证明规则状态中的值 {key}。",
        "Ask a node for the certificate file again.",
        "请重新向节点获取凭证文件。",
    ),
    "W66": Rule(
        "The calculation of this object was made under {policy}, and is not on the node any more as it was then.",
        "该对象的计算依据 {policy} 作出，节点上已无当时的内容。",
        "Use the certificate file that was handed out when it was issued.",
        "请使用颁发时交付的凭证文件。",
    ),
    "W67": Rule(
        "The file discloses {commit}, which none of its records commits to.",
        "该文件披露了 {commit}，但其中没有记录承诺该内容。",
        "Do not use it. Ask a node for the certificate file again.",
        "请勿使用。请重新向节点获取凭证文件。",
    ),
    "W68": Rule(
        "The file speaks of {key}, which has nothing to do with what is certified.",
        "该文件提及 {key}，但与所认证的对象无关。",
        "Do not use it. Ask a node for the certificate file again.",
        "请勿使用。请重新向节点获取凭证文件。",
    ),
}

RIGHTS_RULES: dict[str, Rule] = {**ATTRIBUTION, **OUTPUTS, **CREDIT, **UPKEEP, **FILES}
