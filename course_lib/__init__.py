"""Every Answer Runs: the library under the course's notebooks.

Axis letters, used in every signature (`Float[Tensor, "B T D"]`), every shape comment and every lesson. One letter, one
meaning; a formula that needs another letter says so beside it.

    B  batch              P  image patches       T  text tokens      F  audio frames
    S  keys attended to   D  width               H  heads            E  width of one head
    K  classes            N  candidates          V  vocabulary

Importing this package imports nothing else, seeds nothing and configures nothing. Import a name from the module that
owns it.
"""

__version__ = "0.1.0"

AXES = {
    "B": "batch",
    "P": "image patches",
    "T": "text tokens",
    "F": "audio frames",
    "S": "keys attended to",
    "D": "width",
    "H": "heads",
    "E": "width of one head",
    "K": "classes",
    "N": "candidates in a gallery",
    "V": "vocabulary",
}
