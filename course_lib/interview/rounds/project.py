"""The project round: defend something you built. A form of eight lines, and the questions that it invites.

Every company list collected for this course asks candidates to defend a project: architecture, frozen parts, data,
ablation, metric, failures, cost. Whoever has none defends the course's tiny vision-language model (tiny_vlm.py).
"""

from typing import NamedTuple

from course_lib.interview.record import Text

TINY_VLM = "tiny_vlm"
"""Value of the form's "project" for the course's own model."""


class Topic(NamedTuple):
    """One thing to be grilled on."""

    title: Text
    """Label in the form."""
    hint: Text
    """What to write there."""
    question: Text
    points: tuple[Text, ...]
    """What a good answer must hold."""
    dimensions: tuple[str, ...]
    hard: Text
    """What follows a strong answer."""
    hard_points: tuple[Text, ...]


WHAT = (Text("what", "做了什么"), Text("task, users, your part", "任务、用户、你负责的部分"))
GRILL = {
    "architecture": Topic(
        Text("architecture", "架构"),
        Text("encoder, connector, decoder; sizes", "编码器、连接器、解码器；规模"),
        Text(
            "Draw the data flow with shapes. Why this architecture, and which simplest one did you compare it with?",
            "画出数据流并标注形状。为什么选这个架构？你比较过的最简单的方案是什么？",
        ),
        (
            Text("Every arrow has a shape, from input to loss.", "从输入到损失，每个箭头都有形状。"),
            Text("A simpler baseline with its result on the same data.", "在同一数据上，更简单的基线及其结果。"),
            Text("Which part holds most parameters, and how many.", "哪一部分参数最多，有多少。"),
        ),
        ("definition", "mechanism", "number", "trade-off"),
        Text(
            "Remove the connector, or replace it by a linear layer. What happens, and how do you know?",
            "去掉连接器，或换成一个线性层，会怎样？你怎么知道？",
        ),
        (
            Text(
                "A measured difference, or a plain 'not measured' with the run that would tell.",
                "给出实测差异；没测过就直说，并说明做哪个实验能知道。",
            ),
            Text(
                "What else changes with it: parameters, tokens, training time.",
                "随之改变的还有什么：参数量、token 数、训练时间。",
            ),
        ),
    ),
    "frozen": Topic(
        Text("frozen parts", "冻结部分"),
        Text("what was trained in which stage", "每个阶段训练什么"),
        Text(
            "Which parts were frozen in which stage, and why those? What did unfreezing change?",
            "哪个阶段冻结了哪些部分，为什么是它们？解冻之后有什么变化？",
        ),
        (
            Text(
                "Trainable and frozen parameters of each stage, as numbers.", "每个阶段可训练与冻结的参数量，要有数字。"
            ),
            Text("A reason: little data, forgetting, memory of the optimiser.", "理由：数据少、遗忘、优化器的显存。"),
            Text("What a comparison with everything trained showed.", "与全部训练相比的结果。"),
        ),
        ("mechanism", "number", "trade-off"),
        Text(
            "How do you prove that the frozen part really did not change?",
            "怎样证明冻结的部分真的没有变化？",
        ),
        (
            Text("Compare weights before and after, bit by bit.", "逐位比较训练前后的权重。"),
            Text(
                "Normalisation statistics and dropout are not frozen by requires_grad; eval mode does that.",
                "requires_grad 不会冻结归一化的统计量和 dropout，要靠 eval 模式。",
            ),
        ),
    ),
    "data": Topic(
        Text("data", "数据"),
        Text("source, size, split, cleaning", "来源、规模、划分、清洗"),
        Text(
            "Where do the data come from, how many examples, how were they split? What could leak into training?",
            "数据从哪里来，有多少，怎么划分？测试集的信息可能怎样泄漏到训练集？",
        ),
        (
            Text("Counts before and after cleaning, and what was thrown away.", "清洗前后的数量，以及丢掉了什么。"),
            Text("Split by what must be new at test time, not by row.", "按测试时必须全新的单位划分，不按行划分。"),
            Text("How near duplicates across the split were looked for.", "怎样查找跨划分的近似重复样本。"),
        ),
        ("definition", "limits", "number"),
        Text(
            "The labels are wrong for one example in ten. How would you notice, and what would you do?",
            "十分之一的标注是错的。你怎么发现，又怎么处理？",
        ),
        (
            Text(
                "A sample checked by hand, with an interval for the error rate.", "人工抽查一批，并给出错误率的区间。"
            ),
            Text(
                "High loss and disagreement between models point at candidates.",
                "高损失和模型之间的分歧能指出可疑样本。",
            ),
        ),
    ),
    "ablation": Topic(
        Text("ablation", "消融"),
        Text("what was removed, what changed", "去掉了什么，结果怎么变"),
        Text(
            "Which single change brought most? Show me the ablation, and how many seeds are behind it.",
            "哪一个改动贡献最大？讲讲你的消融实验，用了几个随机种子？",
        ),
        (
            Text("One thing changed at a time, same budget.", "一次只改一处，训练预算相同。"),
            Text("The spread over seeds beside the difference.", "给出差异的同时给出种子间的波动。"),
            Text("A control without the modality: blank or shuffled images.", "去掉一个模态的对照：空白或打乱的图像。"),
        ),
        ("mechanism", "limits", "number"),
        Text(
            "The gain is smaller than the spread over seeds. What do you say to your manager?",
            "提升比种子间的波动还小，你怎么向主管说明？",
        ),
        (
            Text("That it is not shown, and how many runs would show it.", "说明尚不能证明，以及再跑多少次才能证明。"),
            Text("A paired comparison on the same test examples is finer.", "在同一批测试样本上做配对比较更灵敏。"),
        ),
    ),
    "metric": Topic(
        Text("metric", "指标"),
        Text("which, baseline, result", "用哪个、基线、结果"),
        Text(
            "Which metric did you optimise for, what do chance and a trivial baseline get, and what does it not see?",
            "你以哪个指标为准？随机水平和简单基线是多少？它看不到什么？",
        ),
        (
            Text("The metric's definition and the value of chance.", "指标的定义和随机水平。"),
            Text("A case with a good score and a useless output.", "一个分数高但输出没用的例子。"),
            Text("Its interval on the test set.", "在测试集上的置信区间。"),
        ),
        ("definition", "limits", "number"),
        Text(
            "The offline metric rises and the users complain more. Where do you look?",
            "离线指标上升，用户抱怨却更多，你先查哪里？",
        ),
        (
            Text("The test set no longer looks like what users send.", "测试集与用户真实输入已经不一致。"),
            Text("Slices: an average hides a group that got worse.", "分组看：平均值掩盖了变差的群体。"),
        ),
    ),
    "failure": Topic(
        Text("failure", "失败"),
        Text("what broke, how you found out", "哪里出错，怎样发现"),
        Text(
            "Tell me about the worst failure: what broke, how did you find the cause, what keeps it from coming back?",
            "讲讲最严重的一次失败：哪里出了问题，怎么找到原因，怎样防止再次发生？",
        ),
        (
            Text("A symptom, a hypothesis, and the experiment that decided.", "症状、假设，以及做出判断的那个实验。"),
            Text("Examples of the model's errors, sorted by kind.", "模型错误的实例，按类型归类。"),
            Text("A test or an alarm that would catch it today.", "今天能拦住它的测试或告警。"),
        ),
        ("mechanism", "limits"),
        Text(
            "Which input would break it now, in front of me?",
            "现在当着我的面，什么输入会让它出错？",
        ),
        (
            Text("A concrete input and the expected wrong output.", "一个具体输入和预期的错误输出。"),
            Text("Why it is not fixed: cost, rarity, no data.", "为什么还没修：代价、罕见、没有数据。"),
        ),
    ),
    "cost": Topic(
        Text("cost", "开销"),
        Text("training time, latency, memory", "训练时间、延迟、显存"),
        Text(
            "What does it cost to train once and to answer once: time, memory, money? Where does the latency go?",
            "训练一次、回答一次各要多少时间、显存和钱？延迟花在哪里？",
        ),
        (
            Text("Measured numbers with the machine they were measured on.", "实测数字，并注明所用机器。"),
            Text(
                "The latency split: preprocessing, encoder, prefill, decode.",
                "延迟拆分：预处理、编码器、prefill、解码。",
            ),
            Text("What would be cut first, and the quality it costs.", "先砍哪一块，质量损失多少。"),
        ),
        ("number", "trade-off", "limits"),
        Text(
            "Ten times the traffic tomorrow, the same hardware. What do you do?",
            "明天流量变成十倍，硬件不变，你怎么办？",
        ),
        (
            Text(
                "Batching, caching, a smaller model, fewer visual tokens, each with its price.",
                "批处理、缓存、小模型、更少的视觉 token，各自的代价。",
            ),
            Text("What is measured before anything is changed.", "改动之前先测什么。"),
        ),
    ),
}
TOPICS = tuple(GRILL)
FIELDS = ("what", *TOPICS)


def field(name: str) -> tuple[Text, Text]:
    """Label and hint of a line of the form."""
    return WHAT if name == "what" else (GRILL[name].title, GRILL[name].hint)


def check_form(form: dict[str, str]) -> None:
    """ValueError unless it is the tiny VLM or the lines of FIELDS with at least `what` filled in."""
    if form == {"project": TINY_VLM}:
        return
    if set(form) != set(FIELDS):
        raise ValueError(f"the form has {sorted(form)}; it needs {', '.join(FIELDS)}")
    if not form["what"].strip():
        raise ValueError("say what you built, in one line; the other lines may stay empty and will be asked about")


def opening_line(topic: str, form: dict[str, str], language: str) -> str:
    """What the interviewer says before the question: what the form says, or that it says nothing."""
    zh = language == "zh"
    if form.get("project") == TINY_VLM:
        return "课程的小型视觉语言模型（第 31 课）。" if zh else "The course's tiny vision-language model (lesson 31)."
    written = form.get(topic, "").strip()
    if not written:
        return "这一项你没有写。" if zh else "You left this line empty."
    return f"你写道：“{written}”" if zh else f"You wrote: “{written}”"
