"""Calls that once gave a figure and no complaint, or could have: what refuses them, by the words it begins with."""

import torch
from good_calls import BINARY, CONFUSION, LABEL, PRIOR, PROBABILITIES, RIGHT, SCORE, SCORES, drawn, flags

from course_lib.explain import attribution, faithfulness, plots, sanity
from course_lib.losses import classification as class_losses
from course_lib.losses import imbalance, margin
from course_lib.losses import regression as number_losses
from course_lib.metrics import (
    answers,
    calibration,
    captions,
    classification,
    hallucination,
    ranking,
    regression,
    resampling,
    thresholds,
)
from course_lib.models import attention, fusion, late_fusion, masks, regularisers

NAN, INFINITY = float("nan"), float("inf")
COSTS = {"false_positive_cost": 1.0, "false_negative_cost": NAN}
LONE = torch.full((7,), 1)
MAP, MASK = drawn(2, 3, 4), flags(2, 3, 4)
HOLED = MAP.masked_fill(MAP[1, 2, 3] == MAP, NAN)


def interval(*columns, **options):
    return resampling.bootstrap_interval(classification.accuracy, *columns, **{"seed": 0, "resamples": 20} | options)


HAND_PICKED = {
    # the eight of the review
    "label has shape (7, 1), but accuracy takes (B,) with B = 7 as in scores; try label.squeeze(1)": lambda: (
        classification.accuracy(SCORES, LABEL[:, None])
    ),
    "7 of 7 rows of probabilities are no distribution over classes": lambda: calibration.expected_calibration_error(
        20 * SCORES, LABEL
    ),
    "label has shape (7, 1), but expected_calibration_error takes (B,)": lambda: calibration.expected_calibration_error(
        PROBABILITIES, LABEL[:, None]
    ),
    "1 of 7 values of difference is NaN or infinite": lambda: resampling.sign_flip_p_value(
        torch.tensor([0.1, 0.2, 0.3, NAN, 0.1, 0.1, 0.1]), seed=0
    ),
    "cluster has shape (6,), but bootstrap_interval takes (B,) with B = 7 as in columns[0]; row b": lambda: interval(
        SCORES, LABEL, cluster=LABEL[:6]
    ),
    "1 of 7 values of label is no class, at [6]; 5 classes have the numbers 0 to 4": lambda: calibration.brier_score(
        PROBABILITIES, torch.tensor([0, 1, 2, 3, 4, 0, -1])
    ),
    "predicted has shape (1,), but confusion_matrix takes (B,) with B = 7 as in label": lambda: (
        classification.confusion_matrix(LABEL, LABEL[:1], 5)
    ),
    "score has shape (7, 1), but hinge takes (B,); try score.squeeze(1)": lambda: margin.hinge(SCORE[:, None], BINARY),
    "1 of 24 values of importance is NaN": lambda: faithfulness.pointing_game(HOLED, MASK),
    # metrics
    "1 of 7 values of label is no class, at [0]; 5": lambda: classification.accuracy(
        SCORES, torch.tensor([-100, 1, 2, 3, 4, 0, 1])
    ),
    "35 of 35 values of scores are NaN": lambda: classification.accuracy(SCORES * NAN, LABEL),
    "label is empty": lambda: classification.accuracy(SCORES[:0], LABEL[:0]),
    "label holds bool": lambda: ranking.roc_auc(BINARY == 1, SCORE),
    "labels [-1, 1] are not 0 and 1": lambda: ranking.roc_auc(2 * BINARY - 1, SCORE),
    "1 of 7 values of score is NaN": lambda: ranking.average_precision(
        BINARY, torch.tensor([0.1, 0.2, NAN, 0.1, 0.1, 0.1, 0.1])
    ),
    "score has shape (7, 1), but roc_curve takes (B,) with B = 7 as in label": lambda: ranking.roc_curve(
        BINARY, SCORE[:, None]
    ),
    "confusion has shape (2, 3)": lambda: classification.precision_recall_f1(torch.ones(2, 3, dtype=torch.int64)),
    "confusion holds float32": lambda: classification.precision_recall_f1(CONFUSION / CONFUSION.sum()),
    "1 of 4 values of confusion is no number of 0 or more, at [0, 1]": lambda: classification.precision_recall_f1(
        torch.tensor([[3, -1], [2, 4]])
    ),
    "average is 'Macro'; choose from macro, micro, weighted": lambda: classification.average_precision_recall_f1(
        CONFUSION, "Macro"
    ),
    "zero_division=0.5 is no convention": lambda: classification.average_precision_recall_f1(
        CONFUSION, "micro", zero_division=0.5
    ),
    "bins is 0; give a number of 1 or more": lambda: calibration.expected_calibration_error(
        PROBABILITIES, LABEL, bins=0
    ),
    "2 of 2 values of confidence are no number within [0, 1], the first at [0]; probabilities": lambda: (
        calibration.confidence_bins(torch.tensor([80.0, 90.0]), RIGHT[:2])
    ),
    "right holds int64, but confidence_bins takes True and False": lambda: calibration.confidence_bins(
        SCORE / 2, LABEL
    ),
    "1 of 35 values of logits is NaN or infinite": lambda: calibration.fit_temperature(
        SCORES.masked_fill(SCORES[0, 0] == SCORES, -INFINITY), LABEL
    ),
    "first_right holds int64": lambda: resampling.mcnemar_p_value(LABEL, RIGHT),
    "first_right is empty": lambda: resampling.mcnemar_p_value(RIGHT[:0], RIGHT[:0]),
    "difference is empty": lambda: resampling.sign_flip_p_value(SCORE[:0], seed=0),
    "resamples is 0; give a number of 1 or more": lambda: resampling.sign_flip_p_value(drawn(70), seed=0, resamples=0),
    "columns[1] has shape (6,), but bootstrap_interval takes (B, ...) with B = 7": lambda: interval(SCORES, LABEL[:6]),
    "no column came": lambda: interval(),
    "columns[0] has shape (6,), but subgroup_report takes (B, ...) with B = 7 as in group": lambda: (
        resampling.subgroup_report(lambda score: score.mean().item(), BINARY, SCORE[:6], seed=0)
    ),
    "costs 1.0 and nan: both must be positive and finite": lambda: thresholds.cheapest_threshold(
        BINARY, SCORE, **COSTS
    ),
    "costs 1.0 and nan: both must": lambda: thresholds.bayes_threshold(**COSTS),
    "2 of 2 values of true_positive_rate are no number within [0, 1]": lambda: thresholds.precision_at_prevalence(
        torch.tensor([90.0, 80.0]), torch.tensor([0.1, 0.2]), 0.1
    ),
    "1 of 14 values of target is NaN or infinite": lambda: regression.linear_recovery(
        drawn(7, 3), drawn(7, 2).index_put((torch.tensor(0), torch.tensor(1)), torch.tensor(INFINITY))
    ),
    "human_answers is one string": lambda: answers.soft_accuracy("yes", "yes"),
    "references[0] is one string": lambda: captions.exact_match(["a ring"], ["a ring"]),
    "captions[0] is list, but exact_match takes a string there; try ' '.join(captions[0])": lambda: (
        captions.exact_match([["a", "ring"]], [["a ring"]])
    ),
    "captions has 1, references has 2": lambda: captions.cider(["a ring"], [["a ring"], ["a disc"]]),
    "mentioned[0] is one string": lambda: hallucination.chair(["ring"], [{"ring"}]),
    "present[0] is one string": lambda: hallucination.chair([["ring"]], ["ring and disc"]),
    "said_yes holds words, such as 'no'": lambda: hallucination.pope(
        ["no"], [hallucination.Probe(0, "ring", answer=True)]
    ),
    # losses
    "label has shape (7, 1), but cross_entropy takes (*batch,) with *batch = (7,)": lambda: class_losses.cross_entropy(
        SCORES, LABEL[:, None]
    ),
    "labels from -1 to 3 do not fit 5 classes": lambda: class_losses.focal(SCORES, LABEL - 1),
    "gamma nan would raise": lambda: class_losses.focal(SCORES, LABEL, gamma=NAN),
    "alpha has shape (4,), but focal takes (K,) with K = 5 as in logits": lambda: class_losses.focal(
        SCORES, LABEL, alpha=PRIOR[:4]
    ),
    "labels [-1, 1] are not 0 and 1; for more": lambda: margin.hinge(SCORE, 2 * BINARY - 1),
    "label has shape (1,), but hinge takes (B,) with B = 7 as in score": lambda: margin.hinge(SCORE, LONE[:1]),
    "target has shape (7,), but mse takes (*batch,) with *batch = (7, 1)": lambda: number_losses.mse(
        SCORE[:, None], SCORE
    ),
    "target has shape (), but mae takes (*batch,)": lambda: number_losses.mae(SCORE, torch.tensor(0.5)),
    "weight has shape (1,), but huber takes (*batch,)": lambda: number_losses.huber(SCORE, SCORE, torch.ones(1)),
    "prior is no distribution over classes": lambda: imbalance.balanced_weights(9 * PRIOR),
    "1 of 2 values of counts is no number of 1 or more, at [0]; leave out": lambda: imbalance.effective_number_weights(
        torch.tensor([0, 5])
    ),
    "prior has shape (4,), but adjust_logits takes (K,) with K = 5": lambda: imbalance.adjust_logits(SCORES, PRIOR[:4]),
    "old has shape (1,), but move_prior takes (K,) with K = 5": lambda: imbalance.move_prior(SCORES, PRIOR[:1], PRIOR),
    # models
    "modalities[1] has shape (1, 5), but fuse_sum takes (B, D) with B = 7": lambda: fusion.fuse_sum(SCORES, SCORES[:1]),
    "weights [0.5, nan] sum to nan, not 1": lambda: fusion.fuse_weighted_sum(SCORES, SCORES, weights=[0.5, NAN]),
    "14 of 14 rows of probabilities": lambda: late_fusion.fuse_probabilities(SCORES, SCORES),
    "tokens has shape (3, 12), but split_heads takes (B, S, D); try tokens.unsqueeze(0)": lambda: attention.split_heads(
        drawn(3, 12), 4
    ),
    "mask holds float32, but masked_softmax takes True and False, (*_, S)": lambda: attention.masked_softmax(
        SCORES, torch.ones(5)
    ),
    "groups holds float32": lambda: masks.group_mask(SCORE),
    "label has shape (7, 1), but smooth_labels takes (B,); try label.squeeze(1)": lambda: regularisers.smooth_labels(
        LABEL[:, None], 5, 0.1
    ),
    # explanations
    "importance holds bool, but mass_in_mask takes floating-point numbers": lambda: faithfulness.mass_in_mask(
        MASK, MASK
    ),
    "mask holds float32, but mass_in_mask takes True and False, (B, ...)": lambda: faithfulness.mass_in_mask(
        MAP, MASK.float()
    ),
    "1 of 24 values of one is NaN": lambda: sanity.rank_agreement(HOLED, MAP),
    "mask is empty": lambda: faithfulness.mask_share(MASK[:0]),
    "heat has shape (3, 4), but show_heat takes (height, width) with height = 6": lambda: plots.show_heat(
        drawn(1, 6, 8), MAP[0]
    ),
    "1 of 12 values of heat is NaN or infinite": lambda: plots.show_heat(MAP[:1], HOLED[1]),
    "1 of 2 values of importance is NaN or infinite": lambda: plots.show_words(["a", "ring"], torch.tensor([0.5, NAN])),
    "words is one string, but show_words takes a collection": lambda: plots.show_words("ring", torch.ones(4)),
    "inputs ['input'] hold no example": lambda: attribution.attribute(
        torch.nn.Flatten(0).eval(), {"input": MAP[:0]}, method="saliency"
    ),
}
