"""Problems about what a prompt with pictures costs: its price, and the prefill of a dialogue."""

from fractions import Fraction
from math import ceil
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.problem import EXACT, ROUNDED, Family, Given, Problem, line, problem
from course_lib.interview.sums.tokens import dialogue_prefill, tiled_tokens
from course_lib.interview.sums.units import number as n


def draw_cost(rng: Random, step: int) -> Problem:
    """Price of a prompt with pictures, and pictures a budget buys. Prices are drawn, not any provider's."""
    images, text = rng.randint(2, 12), rng.choice([200, 500, 1000, 2000])
    cents = rng.choice([15, 50, 80, 125, 250, 300])
    price = Fraction(cents, 100)
    tiles = rng.choice([2, 4, 6]) if step > 1 else 0
    each = tiled_tokens(1, tiles, 576) if tiles else rng.choice([256, 576, 729, 1000])
    working = [line("Tokens of an image", "每张图片的 token 数", f"({tiles} + 1) × 576", each)] if tiles else []
    given: Given = {"price": price, "text": text}
    given |= {"tile": 576, "tiles": tiles} if tiles else {"each": each}
    picture = (
        ("{tiles} tiles and a thumbnail of {tile} tokens each", "{tiles} 块切片加一张缩略图，每份 {tile} 个 token")
        if tiles
        else ("{each} tokens each", "每张 {each} 个 token")
    )
    if step < 3:
        prompt = images * each + text
        dollars = prompt * price / 10**6
        working.append(line("Prompt", "提示词长度", f"{images} × {n(each)} + {n(text)}", prompt))
        working.append(line("Times the price", "乘以单价", f"{n(prompt)} × {n(price)} / 10^6", dollars))
        ask = (
            f"Input costs ${{price}} per million tokens. A prompt has {{images}} images ({picture[0]}) and {{text}}"
            " text tokens. What does it cost?",
            f"输入价格为每百万 token ${{price}}。一条提示词有 {{images}} 张图片（{picture[1]}）和 {{text}} 个文本"
            " token，费用是多少？",
        )
        near = {
            "text ignored": images * each * price / 10**6,
            "one image": (each + text) * price / 10**6,
            "price a thousand": dollars * 1000,
        }
        if tiles:
            near["thumbnail"] = (images * tiles * 576 + text) * price / 10**6
        return problem(ask, {**given, "images": images}, dollars, "$", working, near)
    requests = rng.choice([1000, 5000, 10000])
    budget = ceil(requests * (images * each + text) * price / 10**6) + rng.randint(0, 3)
    tokens = Fraction(budget * 10**6) / price / requests
    count = int((tokens - text) // each)
    working.append(
        line(
            "Tokens a request may have", "每次请求可用的 token", f"{budget} / {n(price)} × 10^6 / {n(requests)}", tokens
        )
    )
    working.append(
        line("Images", "图片数", f"⌊({budget} × 10^6 / {n(price)} / {n(requests)} − {n(text)}) / {n(each)}⌋", count)
    )
    ask = (
        f"Input costs ${{price}} per million tokens; a budget of ${{budget}} pays for {{requests}} requests. Each has"
        f" {{text}} text tokens and images ({picture[0]}). How many images may a request have?",
        f"输入价格为每百万 token ${{price}}，预算 ${{budget}} 要支持 {{requests}} 次请求。每次有 {{text}} 个文本 token"
        f" 和若干图片（{picture[1]}）。每次最多带几张图片？",
    )
    near = {
        "text ignored": tokens // each,
        "thumbnail": (tokens - text) // (tiles * 576),
        "rounded up": count + 1,
        "one request": count * requests,
    }
    return problem(
        ask, {**given, "budget": budget, "requests": requests}, count, "images", working, near, tolerance=EXACT
    )


def draw_dialogue(rng: Random, step: int) -> Problem:
    """Tokens prefilled over a dialogue about one picture, with and without a prefix cache."""
    turns, image = rng.randint(3, 8), rng.choice([256, 576, 1000] if step == 1 else [576, 729, 1280, 2880])
    question, answer = rng.choice([20, 30, 50]), rng.choice([60, 100, 150])
    cold = dialogue_prefill(turns, image, question, answer, cached=False)
    warm = dialogue_prefill(turns, image, question, answer, cached=True)
    scene = (
        "A dialogue has {turns} turns about one image of {image} tokens; a question has {question} tokens, an answer"
        " {reply}. ",
        "围绕一张 {image} 个 token 的图片对话 {turns} 轮；每个问题 {question} 个 token，每个回答 {reply} 个。",
    )
    given = {"turns": turns, "image": image, "question": question, "reply": answer}
    pairs = turns * (turns + 1) // 2
    read_again = f"{turns} × {image} + {pairs} × {question} + {pairs - turns} × {answer}"
    read_once = f"{image} + {turns} × {question} + {turns - 1} × {answer}"
    without = line("Without: turn k reads all before it", "无缓存：每轮重读之前全部内容", read_again, cold)
    with_cache = line(
        "With: every token once, the last answer never", "有缓存：各读一次，最后的回答不读", read_once, warm
    )
    if step == 1:
        ask = "Its prefix stays cached. How many tokens are prefilled in all?", "前缀一直缓存。总共预填充多少个 token？"
        near = {"no cache": cold, "last answer": warm + answer, "answers ignored": image + turns * question}
        result, unit, tolerance, working = warm, "tokens", EXACT, [with_cache]
    elif step == 2:
        ask = "Nothing is cached. How many tokens are prefilled in all?", "没有任何缓存。总共预填充多少个 token？"
        near = {
            "cached": warm,
            "last answer": cold + turns * answer,
            "answers ignored": cold - answer * (pairs - turns),
            "history ignored": turns * (image + question),
        }
        result, unit, tolerance, working = cold, "tokens", EXACT, [without]
    else:
        result, unit, tolerance = Fraction(cold - warm, cold), "%", ROUNDED
        ask = "Which share of the prefill does a prefix cache save?", "前缀缓存能省去多大比例的预填充？"
        near = {"what is left": Fraction(warm, cold), "relative to the rest": Fraction(cold - warm, warm)}
        saved = line("Saved", "节省", f"({n(cold)} − {n(warm)}) / {n(cold)}", result)
        working = [without, with_cache, saved]
    ask = (scene[0] + ask[0], scene[1] + ask[1])
    return problem(ask, given, result, unit, working, near, tolerance=tolerance)


FAMILIES = (
    Family(
        "cost",
        Text("Price of a prompt with images", "多图提示词的费用"),
        "LLaVA-NeXT tiles; the price is drawn",
        draw_cost,
    ),
    Family("dialogue", Text("Prefill of a dialogue", "多轮对话的预填充"), "SGLang arXiv:2312.07104", draw_dialogue),
)
