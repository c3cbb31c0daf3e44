"""The trainers that nnU-Net finds through ``nnUNet_extTrainer``: re-exports only.

The classes live in ``trainers/`` and ``papers/``.
"""

from nnunetv2_strokesynth.papers.abulnaga2018.trainers import (  # noqa: F401
    Abulnaga2018Trainer,
    Abulnaga2018Trainer_CE,
    Abulnaga2018Trainer_Pretrained,
    Abulnaga2018Trainer_PretrainedCE,
    Abulnaga2018Trainer_PretrainedWCE,
    Abulnaga2018Trainer_PretrainedWCEPrinted,
    Abulnaga2018Trainer_UNet2D,
    Abulnaga2018Trainer_UNet2DCE,
    Abulnaga2018Trainer_UNet3D,
    Abulnaga2018Trainer_UNet3DCE,
    Abulnaga2018Trainer_VNet,
    Abulnaga2018Trainer_VNetCE,
    Abulnaga2018Trainer_WCE,
)
from nnunetv2_strokesynth.papers.clerigues2019.trainers import (  # noqa: F401
    Clerigues2019Trainer,
    Clerigues2019Trainer_Baseline,
    Clerigues2019Trainer_Baseline64,
    Clerigues2019Trainer_RT,
    Clerigues2019Trainer_RT16,
    Clerigues2019Trainer_RT32,
    Clerigues2019Trainer_RT48,
    Clerigues2019Trainer_RT96,
    Clerigues2019Trainer_RTSM,
)
from nnunetv2_strokesynth.papers.gomez2023.mri_subsets import SUBSET_TRAINERS
from nnunetv2_strokesynth.papers.gomez2023.trainers import (  # noqa: F401
    Gomez2023Trainer,
    Gomez2023Trainer_AttBinary,
    Gomez2023Trainer_CWDSAux,
    Gomez2023Trainer_CWDSBinary,
    Gomez2023Trainer_MRI,
    Gomez2023Trainer_MRICW,
    Gomez2023Trainer_MRICWDS,
    Gomez2023Trainer_MRIUNet,
    Gomez2023Trainer_UNetAux,
    Gomez2023Trainer_UNetBinary,
)
from nnunetv2_strokesynth.papers.song2018.trainers import (  # noqa: F401
    Song2018Trainer,
    Song2018Trainer_AUNetCEGD,
    Song2018Trainer_G,
    Song2018Trainer_GSDF,
    Song2018Trainer_GSDFSN,
    Song2018Trainer_GSDFSNE,
    Song2018Trainer_UNetCE,
    Song2018Trainer_UNetCEGD,
)
from nnunetv2_strokesynth.papers.wang2020.table_trainers import (  # noqa: F401
    StrokeSynthTrainer_Augmented,
    StrokeSynthTrainer_FromCTA,
    StrokeSynthTrainer_FromDWIo,
    StrokeSynthTrainer_FromDWIol,
    StrokeSynthTrainer_FromFoAndDWI,
    StrokeSynthTrainer_FrozenContext,
    StrokeSynthTrainer_FullExtractor,
    StrokeSynthTrainer_LossCEHGD,
    StrokeSynthTrainer_LossDice,
    StrokeSynthTrainer_LossGD,
    StrokeSynthTrainer_LossHGD,
    StrokeSynthTrainer_LossWCEHGD,
    StrokeSynthTrainer_PlainNorms,
    StrokeSynthTrainer_RealDWI,
    StrokeSynthTrainer_RealDWIUNet,
    StrokeSynthTrainer_SegFCN,
    StrokeSynthTrainer_SegNoSE,
    StrokeSynthTrainer_SegNoSN,
    StrokeSynthTrainer_SegR2UNet,
    StrokeSynthTrainer_SegResUNet,
    StrokeSynthTrainer_SegSLNet,
    StrokeSynthTrainer_SegUNet,
    StrokeSynthTrainer_Sequential,
    StrokeSynthTrainer_SynthFoFl,
    StrokeSynthTrainer_SynthFoFlFh,
    StrokeSynthTrainer_SynthFoFlFhStar,
    StrokeSynthTrainer_SynthGAN,
    StrokeSynthTrainer_SynthL1,
    StrokeSynthTrainer_SynthL2,
    StrokeSynthTrainer_SynthL2GAN,
    StrokeSynthTrainer_SynthPlainNorms,
    StrokeSynthTrainer_SynthWL2,
    StrokeSynthTrainer_SynthWL2H1,
    StrokeSynthTrainer_SynthWL2H2,
)
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020  # noqa: F401
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock  # noqa: F401
from nnunetv2_strokesynth.trainers.strokesynth import (  # noqa: F401
    StrokeSynthTrainer,
    StrokeSynthTrainer_FineTune,
    StrokeSynthTrainer_NoDWI,
    StrokeSynthTrainer_Surrogate,
    StrokeSynthTrainer_Tuned,
)

# Gomez2023Trainer_MRI_ADC, Gomez2023Trainer_MRICW_ADC_TTP, ...
globals().update(SUBSET_TRAINERS)
