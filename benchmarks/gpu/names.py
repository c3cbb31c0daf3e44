"""The systems whose training step is measured, the most important first; the two modes."""

BARE, STOCK, WANG2020 = "bare_unets", "StrokeSynthTrainer_Stock", "StrokeSynthTrainer_Wang2020"
PLAIN_NORM = f"{WANG2020}_plain_norm"  # the formula of switchable norm with autograd's backward
COMPILED, EAGER = "compiled", "eager"
SYSTEMS = (
    "StrokeSynthTrainer",
    STOCK,
    WANG2020,
    BARE,
    "StrokeSynthTrainer_NoDWI",
    PLAIN_NORM,
    "Song2018Trainer",
    "Gomez2023Trainer",
    "Abulnaga2018Trainer",
    "Clerigues2019Trainer",
)
