"""A right call of every public function and forward pass that takes tensors or collections: what bad calls are made of.

Axes have different lengths wherever a signature leaves them free, so that a wrong length is never right by chance.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib
import torch
from torch import Tensor, nn

from course_lib.data.instructions import DESCRIBE, WORDS
from course_lib.explain import (
    attention_maps,
    attribution,
    contest,
    faithfulness,
    grad_cam,
    plots,
    plots_attention,
    plots_structure,
    relevance,
    sanity,
)
from course_lib.explain import captions as caption_maps
from course_lib.losses import classification as class_losses
from course_lib.losses import imbalance, margin
from course_lib.losses import regression as number_losses
from course_lib.metrics import (
    answers,
    auc_intervals,
    calibration,
    captions,
    classification,
    detection,
    hallucination,
    ranking,
    regression,
    resampling,
    selective,
    thresholds,
)
from course_lib.models import (
    attention,
    fusion,
    fusion_tokens,
    generation,
    heads,
    late_fusion,
    masks,
    positions,
    regularisers,
    side_by_side,
    tensor_fusion,
    transformer,
    vlm,
    vqa,
)

matplotlib.use("agg")


class Call(NamedTuple):
    function: Callable
    arguments: dict[str, Any]
    """By parameter; those of *args as a list."""


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) + 0.1


def flags(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.bool)


SCORES, LABEL = drawn(7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 1])
PROBABILITIES, PRIOR = SCORES.softmax(dim=-1), drawn(5).softmax(dim=0)
SCORE, BINARY, RIGHT = drawn(7), torch.tensor([0, 1, 0, 1, 1, 0, 1]), torch.tensor([True, False] * 3 + [True])
CAPTIONS, REFERENCES = ["a red ring", "a blue disc"], [["a red ring"], ["one blue disc", "a disc"]]
SEEN = [{"ring", "disc"}, {"disc"}]
NAMES = ["ring", "disc", "cross", "square"]
CORNERS = torch.tensor([[0.0, 0.0], [3.0, 1.0], [6.0, 2.0]])
BOXES = torch.cat([CORNERS, CORNERS + 5], dim=1)
TRUTH = detection.Boxes(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), BOXES)
FOUND = detection.Boxes(*(torch.cat([part, part.flip(0), part[:1]]) for part in TRUTH))
CONFUSION = torch.tensor([[3, 1], [2, 4]])


def metrics() -> list[Call]:
    labelled = {"scores": SCORES, "label": LABEL}
    ranked = {"label": BINARY, "score": SCORE}
    probable = {"probabilities": PROBABILITIES, "label": LABEL}
    said = {"captions": CAPTIONS, "references": REFERENCES}
    probes = [hallucination.Probe(0, "ring", answer=True), hallucination.Probe(0, "cross", answer=False)]
    return [
        Call(answers.soft_accuracy, {"answer": "two", "human_answers": ["2"] * 10}),
        Call(calibration.confidence_bins, {"confidence": PROBABILITIES.amax(dim=1), "right": RIGHT}),
        Call(calibration.expected_calibration_error, probable),
        Call(calibration.brier_score, probable),
        Call(
            calibration.fit_temperature,
            {"logits": 9 * torch.eye(5)[LABEL], "label": torch.tensor([0, 1, 2, 3, 4, 0, 2])},
        ),
        Call(captions.exact_match, said),
        Call(captions.bleu4, said),
        Call(captions.cider, said),
        Call(classification.accuracy, labelled),
        Call(classification.confusion_matrix, {"label": LABEL, "predicted": LABEL.flip(0), "classes": 5}),
        Call(classification.precision_recall_f1, {"confusion": CONFUSION}),
        Call(classification.average_precision_recall_f1, {"confusion": CONFUSION, "average": "macro"}),
        Call(hallucination.chair, {"mentioned": [["ring"], ["disc", "cross"]], "present": SEEN}),
        Call(detection.box_iou, {"first": BOXES, "second": BOXES[:2] + 1}),
        Call(detection.find_hits, {"found": FOUND, "score": SCORE, "truth": TRUTH, "iou": 0.5}),
        Call(detection.mean_average_precision, {"found": FOUND, "score": SCORE, "truth": TRUTH}),
        Call(detection.ranked_average_precision, {"hit": RIGHT, "score": SCORE, "truths": 5}),
        Call(
            hallucination.pope_probes,
            {"present": SEEN, "sampling": "popular", "names": NAMES, "corpus": [*SEEN, SEEN[0]]},
        ),
        Call(hallucination.pope, {"said_yes": [True, False], "probes": probes}),
        Call(ranking.roc_curve, ranked),
        Call(ranking.roc_auc, ranked),
        Call(ranking.precision_recall_curve, ranked),
        Call(ranking.average_precision, ranked),
        Call(auc_intervals.delong_interval, ranked),
        Call(regression.linear_recovery, {"inputs": drawn(7, 3), "target": drawn(7, 2)}),
        Call(
            resampling.bootstrap_interval,
            {
                "metric": classification.accuracy,
                "columns": [SCORES, LABEL],
                "seed": 0,
                "resamples": 10,
                "cluster": LABEL,
            },
        ),
        Call(
            resampling.subgroup_report,
            {
                "metric": lambda score: score.mean().item(),
                "group": BINARY,
                "columns": [SCORE],
                "seed": 0,
                "resamples": 10,
            },
        ),
        Call(resampling.mcnemar_p_value, {"first_right": RIGHT, "second_right": ~RIGHT}),
        Call(resampling.sign_flip_p_value, {"difference": SCORE - 0.5, "seed": 0, "resamples": 10}),
        Call(selective.risk_coverage_curve, {"confidence": SCORE, "right": RIGHT}),
        Call(selective.area_under_risk_coverage, {"confidence": SCORE, "right": RIGHT}),
        Call(thresholds.operating_points, ranked),
        Call(thresholds.check_binary, ranked),
        Call(thresholds.cheapest_threshold, {**ranked, "false_positive_cost": 1.0, "false_negative_cost": 5.0}),
        Call(
            thresholds.precision_at_prevalence,
            {"true_positive_rate": PRIOR, "false_positive_rate": PRIOR / 2, "prevalence": 0.1},
        ),
    ]


def losses() -> list[Call]:
    logits = {"logits": SCORES, "label": LABEL}
    sequence = {"logits": drawn(3, 4, 5), "label": torch.arange(12).view(3, 4) % 5}
    numbers = {"prediction": SCORE, "target": SCORE.flip(0), "weight": SCORE + 1}
    generator = torch.Generator().manual_seed(0)
    return [
        Call(class_losses.cross_entropy, {**logits, "weight": PRIOR}),
        Call(class_losses.focal, {**sequence, "alpha": PRIOR}),
        Call(class_losses.poly1, sequence),
        Call(imbalance.class_prior, {"label": LABEL, "classes": 5}),
        Call(imbalance.balanced_weights, {"prior": PRIOR}),
        Call(imbalance.effective_number_weights, {"counts": torch.tensor([5, 2, 9])}),
        Call(imbalance.balanced_rows, {"label": LABEL, "per_class": 2, "generator": generator}),
        Call(imbalance.adjust_logits, {"logits": SCORES, "prior": PRIOR}),
        Call(imbalance.logit_adjusted_cross_entropy, {**logits, "prior": PRIOR}),
        Call(imbalance.move_prior, {"logits": SCORES, "old": PRIOR, "new": PRIOR.flip(0)}),
        Call(imbalance.estimate_prior, {"logits": SCORES, "old": PRIOR}),
        Call(margin.hinge, {"score": SCORE, "label": BINARY}),
        Call(margin.multiclass_hinge, logits),
        Call(number_losses.mse, numbers),
        Call(number_losses.mae, numbers),
        Call(number_losses.huber, numbers),
    ]


def models() -> list[Call]:
    return [*attentions(), *fusions(), *rest_of_models(), *vision_language()]


def attentions() -> list[Call]:
    query, key, value = drawn(2, 3, 6), drawn(2, 4, 6), drawn(2, 4, 5)
    angles = positions.rotary_angles(torch.arange(3), 6)
    block, cache = transformer.Block(12, 3), transformer.KeyValueCache()
    cache.extend(0, drawn(2, 3, 4, 5), drawn(2, 3, 4, 5))
    vision = {"images": drawn(2, 1, 8, 8)}
    return [
        Call(attention.dot_product_attention, {"query": query, "key": key, "value": value, "mask": flags(3, 4)}),
        Call(attention.masked_softmax, {"scores": drawn(2, 3, 4), "mask": flags(3, 4)}),
        Call(
            attention.MultiHeadAttention(12, 2, source_width=6).forward,
            {"x": drawn(2, 3, 12), "source": key, "mask": flags(3, 4)},
        ),
        Call(attention.MultiHeadAttention(12, 2).forward, {"x": drawn(2, 3, 12), "angles": angles}),
        Call(attention.split_heads, {"tokens": drawn(2, 3, 12), "heads": 2}),
        Call(attention.join_heads, {"tokens": drawn(2, 3, 4, 5)}),
        Call(masks.group_mask, {"groups": LABEL}),
        Call(masks.reached, {"mask": flags(4, 4), "layers": 2}),
        Call(positions.rotary_angles, {"positions": torch.arange(3), "width": 6}),
        Call(positions.rotate, {"x": query, "angles": angles}),
        Call(positions.mrope_ids, {"segments": [2, (2, 3)]}),
        Call(positions.mrope_angles, {"ids": torch.arange(12).view(3, 4), "sections": (1, 1, 1)}),
        Call(transformer.cached_mask, {"readable": flags(2, 4), "last": 3}),
        Call(transformer.KeyValueCache().note, {"readable": flags(2, 4)}),
        Call(transformer.KeyValueCache().extend, {"layer": 0, "keys": drawn(2, 3, 4, 5), "values": drawn(2, 3, 4, 5)}),
        Call(cache.select, {"rows": torch.tensor([1, 0])}),
        Call(block.forward, {"x": drawn(2, 5, 12), "mask": flags(2, 1, 5, 5)}),
        Call(transformer.PatchEncoder(8, 4, 1, 12, 1, 3).tokens, vision),
        Call(transformer.PatchEncoder(8, 4, 1, 12, 1, 3).forward, vision),
        Call(transformer.VisionTransformer(8, 4, 1, 12, 1, 3, 5).forward, vision),
        Call(transformer.Decoder(9, 6, 12, 1, 3).forward, {"tokens": torch.arange(10).view(2, 5) % 9}),
        Call(transformer.Decoder(9, 6, 12, 1, 3).read, {"x": drawn(2, 5, 12), "readable": flags(2, 5)}),
    ]


def fusions() -> list[Call]:
    three, image, text = [drawn(3, 5), drawn(3, 5) + 1, drawn(3, 5) + 2], drawn(3, 4), drawn(3, 5)
    pair, tokens = {"image": image, "text": text}, {"text": drawn(2, 3, 12), "image": drawn(2, 4, 12)}
    stacked = torch.stack(three)
    masked = {**tokens, "text_mask": flags(2, 3), "image_mask": flags(2, 4)}
    predicted = [drawn(3, 5).softmax(dim=1), drawn(3, 5).add(1).softmax(dim=1)]
    return [
        Call(fusion.fuse_sum, {"modalities": three}),
        Call(fusion.fuse_mean, {"modalities": three}),
        Call(fusion.fuse_weighted_sum, {"modalities": three, "weights": torch.tensor([0.5, 0.25, 0.25])}),
        Call(fusion.fuse_product, {"modalities": three}),
        Call(fusion.fuse_max, {"modalities": three}),
        Call(fusion.fuse_concat, {"modalities": [image, text]}),
        Call(fusion.fuse_outer, pair),
        Call(fusion.MLPFusion((4, 5), 6, 2).forward, {"modalities": [image, text]}),
        Call(fusion.GatedFusion(4, 5, 6).forward, pair),
        Call(fusion.FilmFusion(5, 4).forward, {"image": drawn(3, 2, 4), "text": text}),
        Call(fusion.CascadeFusion(nn.Linear(4, 2), nn.Linear(7, 3)).forward, pair),
        Call(fusion.check_weights, {"weights": torch.tensor([0.2, 0.3, 0.5]), "stacked": stacked, "total": 1.0}),
        Call(late_fusion.fuse_logits, {"logits": predicted, "weights": torch.ones(2), "prior": PRIOR}),
        Call(late_fusion.fuse_probabilities, {"probabilities": predicted, "weights": torch.tensor([0.5, 0.5])}),
        Call(fusion_tokens.CrossAttentionFusion(12, 12, 3).forward, {**tokens, "image_mask": flags(2, 4)}),
        Call(fusion_tokens.JointAttentionFusion(12, 3).forward, masked),
        Call(fusion_tokens.AttentionPooling(12, 5).forward, {"tokens": drawn(2, 3, 12), "mask": flags(2, 3)}),
        Call(fusion_tokens.BottleneckFusion(12, 3).forward, tokens),
        Call(tensor_fusion.BilinearFusion(4, 5, 2).forward, pair),
        Call(tensor_fusion.LowRankBilinear(4, 5, 3, 2).forward, pair),
        Call(tensor_fusion.TensorFusion((4, 5), 2).features, {"modalities": [image, text]}),
        Call(tensor_fusion.TensorFusion((4, 5), 2).forward, {"modalities": [image, text]}),
        Call(tensor_fusion.LowRankTensorFusion((4, 5), 3, 2).forward, {"modalities": [image, text]}),
        Call(tensor_fusion.tensor_fusion_cost, {"widths": (4, 5), "out": 2}),
        Call(tensor_fusion.low_rank_cost, {"widths": (4, 5), "rank": 3, "out": 2}),
        Call(tensor_fusion.max_rank, {"widths": (4, 5)}),
    ]


def rest_of_models() -> list[Call]:
    pair = {"image": drawn(3, 4), "text": drawn(3, 5)}
    target = torch.eye(5)[LABEL]
    return [
        Call(heads.FuseThenHead(fusion.fuse_concat, nn.Linear(9, 2)).forward, pair),
        Call(heads.AddLogits(nn.Linear(4, 2), nn.Linear(5, 2)).forward, pair),
        Call(regularisers.dropout, {"x": SCORES, "p": 0.2, "train": True}),
        Call(regularisers.drop_path, {"branch": SCORES, "p": 0.2, "train": True}),
        Call(regularisers.DropConnectLinear(5, 3, 0.2).forward, {"x": SCORES}),
        Call(regularisers.ResidualStack([nn.Linear(5, 5)], 0.2).forward, {"x": SCORES}),
        Call(regularisers.smooth_labels, {"label": LABEL, "classes": 5, "smoothing": 0.1}),
        Call(side_by_side.SideBySideLinear(2, 5, 3).forward, {"x": drawn(2, 7, 5)}),
        Call(side_by_side.SideBySideConvNet(2).forward, {"images": drawn(2, 7, 8, 8)}),
        Call(regularisers.mixup, {"x": SCORES, "target": target, "alpha": 0.3}),
        Call(generation.nucleus, {"log_probs": SCORES.log_softmax(dim=1), "top_p": 0.9}),
    ]


IMAGES, IDS = drawn(2, 3, 16, 16) / 1.1, torch.tensor([[1, 3, 5, 6, 2], [1, 3, 4, 4, 2]])


def vision_language() -> list[Call]:
    model = vlm.make_vlm(9, 3, width=12, depth=1, heads=3).eval()
    asked = {"images": IMAGES, "ids": IDS, "readable": flags(2, 5)}
    _, cache = model.start(**asked)
    spliced = vlm.splice_labels(IDS, IDS, 3, 16)
    return [
        Call(model.forward, asked),
        Call(model.start, asked),
        Call(model.step, {"words": torch.tensor([4, 5]), "cache": cache}),
        Call(model.see, {"images": IMAGES}),
        Call(model.splice, asked),
        Call(vlm.splice_order, {"ids": IDS, "image_id": 3, "patches": 16}),
        Call(vlm.splice_labels, {"labels": IDS, "ids": IDS, "image_id": 3, "patches": 16}),
        Call(vlm.answer_loss, {"logits": drawn(2, 20, 9), "labels": spliced}),
        Call(generation.generate, {"model": model, "images": IMAGES, "ids": IDS, "most": 2}),
        Call(vqa.VqaBlock(12, 3).forward, {"tokens": drawn(2, 5, 12), "mask": flags(2, 5)}),
        Call(vqa.VqaTransformer(9, 4, width=12, heads=3).forward, {"image": IMAGES, "ids": IDS}),
    ]


def explain() -> list[Call]:
    return [*explanations(), *measures(), *figures()]


def explanations() -> list[Call]:
    answering = vqa.VqaTransformer(9, 4, width=12, heads=3).eval()
    speaking = vlm.make_vlm(9, 3, width=12, depth=1, heads=3).eval()
    worded = vlm.make_vlm(len(WORDS), WORDS.tokens.index("<image>"), width=12, depth=1, heads=3).eval()
    inputs, target = {"image": IMAGES, "ids": IDS}, torch.tensor([1, 3])
    asked = {"model": answering, "inputs": inputs, "target": target}
    attributed = attribution.attribute(answering, inputs, target)
    importance = attributed.map("image")
    whole = {"model": answering, "images": IMAGES, "ids": IDS, "target": target}
    return [
        Call(attention_maps.capture_attention, {"model": answering, "inputs": inputs}),
        Call(attention_maps.attention_rollout, {"maps": [drawn(2, 3, 4, 4), drawn(2, 3, 4, 4)]}),
        Call(attribution.attribute, asked),
        Call(caption_maps.attribute_word, {"model": speaking, "images": IMAGES, "ids": IDS, "word": 3}),
        Call(
            caption_maps.attribute_caption,
            {
                "model": worded,
                "vocabulary": WORDS,
                "image": IMAGES[0],
                "prompt": DESCRIBE,
                "answer": "small red square",
            },
        ),
        Call(faithfulness.probability, asked),
        Call(faithfulness.deletion_curve, {**asked, "name": "image", "importance": importance, "steps": 2}),
        Call(grad_cam.token_grad_cam, {**asked, "layer": answering.blocks[1].attention_norm, "patches": 16}),
        Call(contest.pixel_maps, {**whole, "layer": answering.blocks[1].attention_norm, "methods": ["grad_cam"]}),
        Call(contest.token_maps, whole),
        Call(relevance.attention_gradients, asked),
        Call(relevance.gradient_relevance, asked),
        Call(sanity.infidelity, {**asked, "parts": attributed.parts, "samples": 2}),
        Call(
            sanity.sensitivity,
            {"explain": lambda given: given["image"].mean(dim=1), "inputs": inputs, "name": "image", "samples": 2},
        ),
        Call(
            sanity.score_maps,
            {**asked, "name": "image", "maps": {"gradient": importance}, "mask": flags(2, 16, 16)},
        ),
    ]


def measures() -> list[Call]:
    maps, mask = drawn(2, 3, 4), flags(2, 3, 4)
    square = drawn(2, 4, 4)
    score = sanity.MethodScore("gradient", 0.1, 0.9, 1.0, 0.8)
    return [
        Call(faithfulness.pointing_game, {"importance": maps, "mask": mask}),
        Call(faithfulness.mass_in_mask, {"importance": maps, "mask": mask}),
        Call(faithfulness.mask_share, {"mask": mask}),
        Call(contest.smooth_patches, {"heat": drawn(2, 9), "height": 6, "width": 12}),
        Call(relevance.positive_attention, {"weights": drawn(2, 3, 4, 5), "gradient": drawn(2, 3, 4, 5)}),
        Call(relevance.self_step, {"relevance": drawn(2, 4, 5), "positive": square}),
        Call(
            relevance.cross_step,
            {"text_image": drawn(2, 3, 4), "positive": drawn(2, 3, 4), "text": drawn(2, 3, 3), "image": square},
        ),
        Call(relevance.normalised, {"relevance": square}),
        Call(sanity.rank_agreement, {"one": maps, "other": maps.flip(2)}),
        Call(sanity.ranking_table, {"runs": [[score], [score]]}),
    ]


def figures() -> list[Call]:
    image, heat, words = drawn(3, 8, 12) / 1.1, drawn(8, 12), ["a", "red", "ring"]
    return [
        Call(plots.show_heat, {"image": image, "heat": heat, "mask": heat > 0.5}),
        Call(plots.show_words, {"words": words, "importance": drawn(3)}),
        Call(plots.show_pair, {"image": image, "heat": heat, "words": words, "importance": drawn(3)}),
        Call(plots.show_mel, {"mel": drawn(8, 12), "heat": heat, "seconds": 1.0}),
        Call(plots.spread_patches, {"heat": drawn(16), "height": 8, "width": 12}),
        Call(plots_attention.show_heads, {"maps": [drawn(2, 3, 4)], "labels": words}),
        Call(plots_attention.show_patch_words, {"weights": drawn(3, 4), "words": words}),
        Call(
            plots_attention.show_read_patches, {"image": drawn(3, 8, 8).abs(), "weights": drawn(3, 4), "words": words}
        ),
        Call(
            plots_attention.draw_view,
            {
                "image": image,
                "words": words,
                "maps": [drawn(2, 19, 19)],
                "heats": {"gradient": heat},
                "word": "red",
                "layer": 1,
                "head": 1,
                "method": "gradient",
                "patches": 16,
            },
        ),
        Call(plots_structure.show_strongest, {"weights": drawn(3, 4).softmax(dim=1)}),
        Call(plots_structure.show_pairs, {"masks": {"causal": flags(3, 3)}, "border": 1, "kinds": ("patch", "word")}),
        Call(plots_structure.show_clocks, {"angles": drawn(2, 3)}),
    ]


ROOMS = {"metrics": metrics, "losses": losses, "models": models, "explain": explain}
