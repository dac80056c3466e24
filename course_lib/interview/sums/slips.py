"""Slips of interview arithmetic: name, what went wrong, and the same in Chinese, one slip a row.

A family computes the wrong answer that a slip leads to; who types it is told this row.
"""
# ruff: noqa: E501  (lines fit; a Chinese character counts as two)

from course_lib.interview.record import Text

_ROWS = """
decimal for binary | GiB is a power of two; you divided by a power of ten | GiB 是二的幂，你除的是十的幂
binary for decimal | GB is a power of ten; you divided by a power of two | GB 是十的幂，你除的是二的幂
bits for bytes | that is the number of bits; a byte has eight | 这是比特数；一个字节有八个比特
bytes for bits | the rate is in bits; a byte has eight | 速率以比特计；一个字节有八个比特
prefix too large | the digits are right, the prefix is a factor of a thousand too large | 数字对，单位前缀大了一千倍
prefix too small | the digits are right, the prefix is a factor of a thousand too small | 数字对，单位前缀小了一千倍
not rounded | only whole ones count here; round as the question asks | 这里只数整数个，请按题意取整
rounded up | the last one does not fit: round down | 最后一个放不下，应向下取整
rounded down | the incomplete one counts too: do not round down | 不满的那个也要算，不能向下取整
off by one | one more or one less: count both ends | 差一个：注意两端
text ignored | the text tokens are missing | 漏了文本 token
what is left | that is the complement of the share that was asked | 这是所求比例的补数
relative to the rest | the whole is the denominator, not the rest | 分母是全部，不是其余部分
inverse | that is the ratio upside down | 比值倒过来了
not the gain | the difference was asked, not the larger of the two | 问的是差值，不是较大的那个
one side | counted along one side only; square it | 只数了一边，应取平方
border | the cut-off border makes no patch: round each side down | 切剩的边不成块，每边应向下取整
class token | the class token is not among the patch tokens asked for | 所问的图块 token 不含类别 token
channels | colour channels belong to a patch: they add values, not tokens | 颜色通道属于图块：增加数值，不增加 token
thumbnail | the thumbnail costs as much as a tile and is missing | 漏了缩略图，它与一块开销相同
thumbnail only | that is the thumbnail alone; the tiles come on top | 只算了缩略图，还要加切片
thumbnail added | the thumbnail takes its share from the tiles: subtract it | 缩略图占用切片的份额，应减去
sides added | rows and columns multiply | 行数与列数应相乘
one image | counted one image only | 只算了一张图片
merge not squared | a merge of m by m divides the tokens by m squared | m 乘 m 合并，token 数要除以 m 的平方
not merged | the patches before merging; merging is missing | 这是合并前的图块，漏了合并
merged twice | divided by the block twice | 多除了一次合并块
boundary tokens | start and end tokens were not asked for | 题目不计起止 token
area not sides | each side is rounded by itself, not the area | 应分别取整每条边，而不是面积
not shrunk | the picture exceeds the limit and shrinks first | 图片超过上限，要先缩小
limit as answer | the limit bounds the tokens; rounding leaves fewer | 上限只是界限，取整后更少
no root | each side shrinks by the square root; the area by the whole factor | 每边除以平方根，面积才除以整个倍数
frame rate | the frame rate is missing | 漏了帧率
frames only | that is the number of frames; each costs tokens | 这是帧数，每帧还有若干 token
one frame | that is one frame, or one joined pair | 只算了一帧（或一组）
temporal merge | frames join in pairs before they become tokens | 两帧先合成一组，再变成 token
tokens as positions | a picture takes as many positions as its longer side, not as its tokens | 图片占用的位置数是长边，不是 token 数
shorter side | the longer side decides | 取决于较长的一边
price a thousand | the price is for a million tokens | 单价是每百万 token
one request | that is for all requests together | 这是所有请求的总数
no cache | with a cache each token is read once | 有缓存时每个 token 只读一次
cached | nothing is cached: earlier turns are read again | 没有缓存：之前的轮次要重读
last answer | the last answer is generated, never read | 最后的回答是生成的，不会再读
answers ignored | the model's answers are part of the next prompt | 模型的回答也在下一轮提示词里
history ignored | earlier questions and answers are read again too | 之前的问答也要重读
padding ignored | the last window is padded to full length | 最后一个窗口要补满
stride | the strided convolution is not applied, or applied once too often | 步幅卷积漏算或多算了
one window | that is one window | 只算了一个窗口
padded | without padding the window must lie inside the signal | 不补零时，窗必须完全落在信号内
window as hop | frames follow each other by the hop, not by the window | 帧的间隔是帧移，不是窗长
samples as frames | those are samples; a frame starts every hop | 这是采样点数；每个帧移才有一帧
pool ignored | the pooling is missing | 漏了池化
codebooks | every codebook gives a token for a frame; multiply by them | 每个码本每帧都有一个 token，要乘以码本数
one second | that is one second | 只算了一秒
entries for bits | an index takes the binary logarithm of the entries in bits | 下标所需比特是项数以二为底的对数
bits an index | an index takes several bits, not one | 一个下标需要多个比特，不是一个
attention only | that is attention; the MLP is missing | 只算了注意力，漏了 MLP
MLP only | that is the MLP; attention is missing | 只算了 MLP，漏了注意力
MLP not wider | the MLP is wider than the model | MLP 比模型宽
heads multiplied | heads share the width: more heads cost nothing more here | 各头共分宽度：增加头数不增加这里的量
three matrices | no gate here: two MLP matrices | 这里没有门控：MLP 只有两个矩阵
one projection | Q, K, V and output: four projections | Q、K、V 和输出，共四个投影
no gate | SwiGLU has a gate: three matrices, not two | SwiGLU 有门控：三个矩阵，不是两个
one matrix | counted one matrix only | 只算了一个矩阵
four matrices | gate, up and down: three matrices | 门、升维、降维：三个矩阵
one layer | forgot the layers: that is one of them | 漏乘层数：这只是一层
same width | the width is not simply that one | 宽度不能直接照搬
half for two thirds | two matrices become three: two thirds, not half | 两个矩阵变三个：三分之二，不是一半
tied or not | mind whether input and output share one matrix | 注意输入与输出是否共享矩阵
vocabulary only | every word has a vector: multiply by the width | 每个词有一个向量，要乘以宽度
width squared | the width enters once | 宽度只乘一次
one factor | LoRA has two factors, A and B | LoRA 有 A 和 B 两个因子
full matrix | that is the frozen matrix, not the adapter | 这是冻结的矩阵，不是适配器
factors multiplied | A and B are stored side by side: add their sizes | A 和 B 分开存储：大小相加
rank ignored | the rank is missing | 漏乘秩
all heads keep keys | only the key-value heads count, not all query heads | 只算键值头，不是所有查询头
bytes ignored | a bf16 number takes two bytes | 一个 bf16 数占两个字节
patch not squared | a patch has two sides | 图块有两条边
width ignored | multiply by the width | 漏乘宽度
difference squared | the difference of squares, not the square of the difference | 应是平方之差，不是差的平方
embeddings ignored | the embeddings are missing | 漏了嵌入
rule of thumb | the twelve-d-squared rule does not fit this MLP and these heads | 十二 d 平方的规则不适合这里的 MLP 和头数
connector counted | the connector is no part of the tower | 连接器不属于视觉塔
connector for tower | that is the connector | 这是连接器的占比
widths added | a linear layer multiplies its widths | 线性层的两个宽度应相乘
square for the first | the first layer starts at the vision width | 第一层的输入是视觉宽度
vision squared | the result has the width of the language model | 输出是语言模型的宽度
not concatenated | the merged tokens are concatenated: the input is wider | 合并的 token 会拼接，输入更宽
first only | that is the first layer | 这只是第一层
active only | all experts are stored, not only the visited ones | 所有专家都要存，不只是被访问的
all experts | a token visits only some of the experts | 每个 token 只访问部分专家
one expert | counted one expert only | 只算了一个专家
dense part ignored | attention and embeddings are active for every token | 注意力和嵌入对每个 token 都激活
dense part in the whole only | the dense part is active too: add it above and below | 稠密部分也激活：分子分母都要加
one of keys and values | forgot the factor two: keys and values | 漏了因子二：键和值都要存
decimal budget | GiB is a power of two | GiB 是二的幂
one head | forgot the heads: that is one of them | 漏乘头数：这只是一个头
fp32 | those are four bytes a number; bf16 takes two | 那是每数四字节；bf16 占两字节
weights ignored | what already lies in memory is missing: weights or states | 漏了已占的显存：权重或模型状态
rotary key | the shared rotary key is cached too | 共享的旋转键也要缓存
latent doubled | one latent serves keys and values: no factor two | 一个潜向量同时给键和值：没有因子二
latent a head | the latent is shared by all heads | 潜向量由所有头共享
plain heads | that is the cache of plain multi-head attention | 这是普通多头注意力的缓存
one byte | that is one byte a number | 那是每数一字节
half the bits | halved once too often | 多除了一次二
scales ignored | the quantisation constants take memory too | 量化常数也占存储
scale a weight | one scale serves a whole group of weights | 一组权重共用一个缩放因子
not quantised | those are the weights or vectors without quantisation | 这是未量化的大小
reserve ignored | part of the memory is reserved | 有一部分显存已预留
reserve added | the reserve is taken away, not added | 预留部分应减去，不是加上
bits as bytes | those are bits: eight make a byte | 这是比特：八个才是一个字节
weights only | weights only: gradients and optimiser states are missing | 只算了权重，漏了梯度和优化器状态
master weights | weights and gradients in bf16 are missing beside the fp32 states | 只算了 fp32 状态，漏了 bf16 的权重和梯度
moments only | that is Adam's two moments only | 只算了 Adam 的两个矩
gradients only | weights and gradients only: the optimiser states are missing | 只算了权重和梯度，漏了优化器状态
ZeRO stage 1 | that is stage one: only the optimiser states are sharded | 这是第一阶段：只切分优化器状态
ZeRO stage 2 | that is stage two: optimiser states and gradients are sharded | 这是第二阶段：切分优化器状态和梯度
ZeRO stage 3 | that is stage three: weights are sharded too | 这是第三阶段：权重也切分
not sharded | that is without sharding | 这是不切分时的大小
everything sharded | only the last stage shards everything | 只有最后一个阶段切分全部
unsharded part ignored | the part that is not sharded takes room on every GPU | 不切分的部分在每张卡上都占空间
base trained too | the base is frozen: no gradients, no optimiser states | 基座冻结：没有梯度和优化器状态
adapters only | the frozen base still takes memory | 冻结的基座仍占存储
adapters ignored | the adapters and their optimiser states are missing | 漏了适配器及其优化器状态
frozen in fp32 | the base is frozen in bf16: two bytes | 基座以 bf16 冻结：两字节
gradients of the base | frozen weights have no gradients to keep | 冻结的权重不保留梯度
optimiser served | at inference there are no optimiser states | 推理时没有优化器状态
base copied | one base serves all adapters | 一个基座供所有适配器使用
constants not quantised | the constants are quantised too | 常数也被量化了
plain constants | that is what plain constants take; the question asks for the saving | 这是直接存常数的大小，问的是节省量
whole weights | that is all the weights; the question asks for the saving | 这是全部权重，问的是节省量
against one byte | the comparison is with NF4 and plain constants | 比较对象是用直接常数的 NF4
input only | that is what full recomputation keeps | 这是完全重算时保留的量
one example | multiply by the batch | 漏乘批次大小
factor doubled | the factor already holds the two bytes | 系数里已包含两字节
scores ignored | the attention scores are missing | 漏了注意力分数
states only | divide what is left by what an example takes | 应用剩余显存除以每个样本的占用
no recomputation | full recomputation keeps only the input of a layer | 完全重算只保留每层的输入
one GPU | counted one GPU only, or all as one | 卡数算错：只算了一张，或把多张当成一张
examples that fit | that is the micro-batch | 这是微批次大小
forward only | that is the forward pass: two of the six | 这只是前向：六份中的两份
backward only | the forward pass is missing | 漏了前向
one a weight | a weight costs a multiplication and an addition | 每个权重一乘一加
multiply-adds | a multiply-add is two FLOPs | 一次乘加是两个 FLOP
training for inference | reading a prompt has no backward pass | 读提示词没有反向
matrices ignored | the weight matrices are missing | 漏了权重矩阵
scores without values | scores and weighted sum: two products | 分数和加权和，共两次矩阵乘
MFU ignored | the hardware does not reach its peak | 硬件达不到峰值
hours as days | those are hours | 这是小时数
recomputation counted | MFU counts six N, not the recomputed forward pass | MFU 只计六 N，不计重算的前向
peak with sparsity | that peak holds for sparse matrices | 那是稀疏矩阵的峰值
length not squared | attention grows with the square of the length | 注意力随长度的平方增长
backward too | only the forward pass was asked for | 只问前向
ratio ignored | the tokens for each parameter are missing | 漏了每参数的 token 数
bytes for tokens | twice too many: a token is not a byte pair | 多了一倍：token 数与字节无关
ratio inverted | multiply by the ratio | 应乘以该比值
compute for tokens | that is compute an epoch, not tokens | 这是计算量，不是 token 数
tokens squared | tokens enter once | token 数只乘一次
six ignored | compute is six N D | 计算量是六 N D
tokens for parameters | those are the tokens | 这是 token 数
one token | that is one token | 只算了一个 token
compute for bandwidth | decoding one sequence is bound by bandwidth, not by compute | 单条序列的解码受带宽限制，不受计算限制
cache ignored | the caches are read as well | 缓存也要读
one sequence's cache | every sequence has its own cache | 每条序列有自己的缓存
weights for each | the weights are read once for the whole batch | 整批只读一次权重
no stop at rejection | after the first rejection the rest of the draft is lost | 第一次拒绝后，其余草稿作废
no stop, one more | after the first rejection the rest of the draft is lost | 第一次拒绝后，其余草稿作废
last token forgotten | the large model always adds one token of its own | 大模型总会自己再给一个 token
all accepted | not every draft is accepted | 草稿不会全部被接受
endless draft | the draft is of finite length | 草稿长度有限
draft for free | drafting costs time | 起草也要时间
verification for free | the large model's own pass costs one | 大模型自己的前向也要算一步
one draft step | every drafted token costs a draft step | 每个草稿 token 都要一步
second best | close: the neighbour is a little faster | 很接近，另一个长度略快
shortest draft | a longer draft pays here | 这里更长的草稿更划算
bubble over work | idle over busy; the share has all the time below | 这是空闲比忙碌，分母应是全部时间
stages not less one | the pipeline fills over one stage less | 填充流水线要少算一级
one micro-batch | the micro-batches are what fills the pipeline | 微批次才能填满流水线
replicas ignored | the replicas share the batch | 批次由各副本分担
one phase | more phases: reduce-scatter and all-gather each move their part | 阶段不全：规约散射和全聚集各有通信
whole buffer twice | every GPU keeps its own share: n less one of n | 每卡自己的一份不用传：n 分之 n 减一
whole buffer thrice | every GPU keeps its own share: n less one of n | 每卡自己的一份不用传：n 分之 n 减一
whole buffer | sending the buffer once does not reduce and return it | 只传一次缓冲，不够求和再取回
every pair | a ring sends pieces around, not everything to everyone | 环形只传分块，不是两两互传
as data parallel | sharded weights are gathered twice more often than gradients need | 这是数据并行的通信量，漏了一次权重聚集
accumulation ignored | the accumulation steps are missing | 漏了梯度累积
sequences for tokens | those are sequences, not tokens | 这是序列数，不是 token 数
one sequence | a micro-batch has several sequences | 微批次有多条序列
one tower | both towers are gathered | 两个塔都要聚集
own shard counted | the own shard is there already | 自己的一份本来就有
whole matrix | a GPU holds only the rows of its own images | 每卡只保留自己图片的行
local negatives only | the columns are the texts of all GPUs | 列是所有卡的文本
half precision | the numbers are fp32: four bytes | 这里是 fp32：四字节
embeddings for logits | those are gathered embeddings, not logits | 这是聚集的嵌入，不是 logits
links ignored | the links of the graph are missing | 漏了图的链接
links once | the ground level has twice M links | 底层有两倍 M 的链接
links only | the vectors are missing | 漏了向量
link bytes ignored | a link takes four bytes | 每个链接四字节
id ignored | the id of every vector is missing | 漏了每条向量的编号
one byte a dimension | a code covers several dimensions | 一个编码覆盖多个维度
recall for precision | that looks at the unsafe ones only, not at what is flagged | 只看了不安全的图片，没看被标记的
specificity for precision | that is the specificity | 这是特异度
base rate ignored | the base rate is missing: unsafe images are rare | 漏了基础率：不安全图片很少
odds for share | that is true over false flags, not the share of all flags | 这是真阳性比假阳性，不是占全部标记的比例
precision as specificity | precision is a share of the flags, the rate a share of the safe images | 精确率相对标记，假阳性率相对安全图片
odds ignored | use the odds of true to false flags | 要用真假标记之比
rate of all alarms | that counts all flags; only the false ones matter | 这是所有标记，只应计假阳性
true flags only | the false flags are missing | 漏了假阳性
false flags only | the true flags are missing | 漏了真阳性
every image at risk | hit rate and false-alarm rate apply to different images | 查出率与误标率作用于不同的图片
"""
SLIPS = {name: Text(en, zh) for name, en, zh in (row.split(" | ") for row in _ROWS.strip().splitlines())}
"""Slip -> what to say to it, without a full stop."""
