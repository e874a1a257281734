"""The files of the original study: where each lies in public, and the checksum that proves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COMMIT = "dafb7fa0772913654921d83632bad0bbe2179cec"
"""The commit that added the last of the three models, and whose page tells of all seven evolved files."""
RAW = f"https://raw.githubusercontent.com/R2bEEaton/sonic-subterfuge/{COMMIT}"
IRMAS = "https://zenodo.org/records/1290750"


@dataclass(frozen=True)
class StudyFile:
    """One file of the study: its place below our folder, and what it must be."""

    place: str
    size: int
    """Bytes."""
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.place.rpartition("/")[2]

    @property
    def label(self) -> str:
        """The first bracketed word of a clip's name, its IRMAS class; empty for a model."""
        return self.name.partition("[")[2].partition("]")[0]

    @property
    def remote(self) -> str | None:
        """The path in the public repository, or None for the IRMAS clips, which it does not hold."""
        folder = {"models": "code/model", "evolved": "docs/assets"}.get(self.place.partition("/")[0])
        return folder and f"{folder}/{self.name}"

    def places_in(self, source: Path) -> list[Path]:
        """List where a local copy may keep it: laid out like ours, a checkout, or IRMAS's training data."""
        if self.remote is not None:
            return [source / self.place, source / self.remote]
        irmas = f"IRMAS-TrainingData/{self.label}/{self.name}"
        below = [
            self.place,
            f"docs/assets/{self.name}",
            f"code/dataset/{irmas}",
            irmas,
            f"{self.label}/{self.name}",
        ]
        return [source / place for place in below]


FILES = (
    StudyFile(
        "models/std_scaler.bin",
        1_064,
        "f43dcb51939d9b9ce52dde61f790947ccc94dfc1bcbe642b5e33c796aa9b939d",
    ),
    StudyFile(
        "models/std_scaler_denoise.bin",
        1_066,
        "d8925e1faaa9e44cfc6331f724a595b9461623972b94988ad1fed23429234cf1",
    ),
    StudyFile(
        "models/std_scaler_noisy.bin",
        1_068,
        "bf1d2237a378bf9433bce5ad47d4fdb5e2e76a23048dc8a5ad8a2fd4ae9ea3d8",
    ),
    StudyFile(
        "models/their_tuned_model.pkl",
        1_430_972,
        "3c357e1d998eecfafbe995a84ff06ce883157fb41abaf7e765fc59a03041febc",
    ),
    StudyFile(
        "models/their_tuned_model_denoise.pkl",
        2_855_800,
        "17a16d6e8f8e1ff0549ebed7a740aea8bcdb6e9913d222c81346f6617c80ce7d",
    ),
    StudyFile(
        "models/their_tuned_model_noisy.pkl",
        1_458_804,
        "857449301493857e47b65e60b066e5521911cddcccb1c197f63c9b1aebe6ed96",
    ),
    StudyFile(
        "evolved/008__[flu][nod][cla]0393__1-to-tru.wav",
        264_236,
        "428d4a851295a4f4704159dcd3c694beb9f623057889a2818509efe4eb2103e7",
    ),
    StudyFile(
        "evolved/065__[cel][nod][cla]0059__2-to-gel.wav",
        264_236,
        "52fe4234d45d639d7bb3dc73e6378002f575cea56f829b10b11629f7226a366f",
    ),
    StudyFile(
        "evolved/065__[cel][nod][cla]0059__2-to-pia.wav",
        264_236,
        "be5c844fc3f4aae35917dd30efd6a563698354e96f0e22544abd52ba919962b9",
    ),
    StudyFile(
        "evolved/065__[cel][nod][cla]0059__2-to-vio.wav",
        264_236,
        "7c1c6d73717974d59226158477df38cc93e1494163811ecd03e99d09fbaaa199",
    ),
    StudyFile(
        "evolved/[tru][cla]1954__3-to-flu.wav",
        264_236,
        "08d6616cdf7c814b54a91cbe8fe56a03e4bd676b2da2dcef850e156f602a15be",
    ),
    StudyFile(
        "evolved/[voi][pop_roc]2353__3-to-cel.wav",
        264_236,
        "66ac3794efc3be33b20f8c2cd84b9a55194769f0bf1a1957f2ffbecebddf84a5",
    ),
    StudyFile(
        "evolved/[voi][pop_roc]2353__3-to-voi.wav",
        264_236,
        "4e9a4787655448ebb907b05c2934c925af18284097b56fb73a0a0e9d40824ac1",
    ),
    StudyFile(
        "clips/008__[flu][nod][cla]0393__1.wav",
        529_240,
        "49afa98edfc8b49bbec6a9f45c07951ce6b152230657611755695097a0c2d7ce",
    ),
    StudyFile(
        "clips/065__[cel][nod][cla]0059__2.wav",
        529_240,
        "b4334aa96beedd309cc65a0594d6568a3260b1cea9a25b08817144f03514809f",
    ),
    StudyFile(
        "clips/[tru][cla]1954__3.wav",
        529_240,
        "9196437c8a99aa3e9fe3eb51e57ced11284173aaa9ad61aed9dffe7cacbd392a",
    ),
    StudyFile(
        "clips/[voi][pop_roc]2353__3.wav",
        529_240,
        "239889aad1600765641672fac0f7fddcead8bf048da067f7ae31ed5940d80c83",
    ),
)
"""Three models with their scalers, seven evolved files, four IRMAS clips."""
