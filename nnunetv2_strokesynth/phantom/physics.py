"""The phantom's physics as one parameter object.

``Physics()`` is the phantom that docs/explanation/phantom.md describes. Another one is made with
``dataclasses.replace``::

    noisy = replace(Physics(), ct=replace(Physics().ct, ctp_noise_hu_mm=14.0))

A field is a number, or a tuple of numbers: a ``_range`` is (lowest, highest) of a uniform
distribution unless its comment says otherwise. What has a form and no single number stays beside
the code that uses it: the vessels' courses, the territories, the correlation lengths of random
fields, the widths of soft borders.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Densities:
    """CT numbers without contrast agent, HU. Air is -1000 by definition."""

    gm_hu: float = 39.0
    wm_hu: float = 30.0
    csf_hu: float = 7.0
    blood_hu: float = 45.0
    bone_hu: float = 1250.0
    diploe_hu: float = 650.0
    scalp_hu: float = 15.0


@dataclass(frozen=True)
class TissuePhysics:
    """Blood supply of healthy and of chronically damaged brain tissue."""

    gm_cbf_ml_per_100g_min: float = 60.0
    wm_cbf_ml_per_100g_min: float = 25.0
    gm_cbv_ml_per_100g: float = 4.0
    wm_cbv_ml_per_100g: float = 2.0
    # Relative spread of the flow from scan to scan and from place to place, and of flow and volume
    # together on a finer scale.
    scan_flow_sd: float = 0.12
    flow_sd: float = 0.12
    texture_sd: float = 0.10
    # Arrival delay of blood: its base, what white matter adds, its spread from place to place.
    delay_s: float = 0.5
    wm_delay_s: float = 0.6
    delay_sd_s: float = 0.4
    # Old infarcts and pale (leukoaraiotic) white matter: the share of perfusion that is lost, what
    # the CT loses, and the relative hyperintensity on DWI that is no lesion.
    old_perfusion_loss: float = 0.85
    pale_perfusion_loss: float = 0.4
    old_loss_hu: float = 20.0
    pale_loss_hu: float = 6.0
    old_shine: float = 0.2
    pale_shine: float = 0.25
    # Small vessels in the sulci: fraction of a voxel. Beyond the clot arteries and veins lose
    # these shares of their enhancement where the deficit is complete.
    pial_fraction: float = 0.30
    arterial_loss: float = 0.6
    venous_loss: float = 0.5


@dataclass(frozen=True)
class StrokePhysics:
    """Which strokes patients have, and what a deficit takes from the perfusion."""

    # Infarct over lesion volume: raters round outlines, and small slabs are topped up.
    infarct_per_lesion: float = 0.95
    # The release has no scan without a lesion.
    least_ml: float = 0.9
    # How often which territory is occluded; relative to their sum, as the groups' shares are.
    mca_share: float = 0.78
    aca_share: float = 0.08
    pca_share: float = 0.14
    # Severity in the centre of the deficit, where collaterals keep it under 1; the severity from
    # which tissue infarcts, relative to that; how it varies from place to place.
    depth_range: Range = (0.899, 1.0)
    softness_range: Range = (0.296, 0.486)
    tolerance_range: Range = (0.62, 0.82)
    tolerance_sd_range: Range = (0.03, 0.10)
    # Reperfusion between CT and MRI, and the severity that it takes away.
    reperfusion_probability: float = 0.2
    reperfusion_range: Range = (0.15, 0.45)
    # Deficits that never infarct, emboli that leave no deficit (log-uniform radius), old infarcts.
    benign_probability: float = 0.25
    benign_radius_range_mm: Range = (10.0, 24.0)
    benign_severity_range: Range = (0.25, 0.5)
    emboli_probability: float = 0.15
    emboli_radius_range_mm: Range = (2.5, 6.0)
    old_probability: float = 0.2
    old_radius_range_mm: Range = (4.0, 12.0)
    # Late arrival in one hemisphere from an old carotid stenosis.
    stenosis_probability: float = 0.25
    stenosis_delay_range_s: Range = (1.5, 4.0)
    # How late blood arrives through collaterals where severity is 1. Any territory fed through
    # them is late: the delay saturates at about this severity.
    collateral_delay_range_s: Range = (5.38, 9.46)
    delay_saturation: float = 0.129
    # Relative spread of that delay from place to place.
    collateral_delay_sd: float = 0.122
    # alpha and beta of the beta distribution of pale white matter, 0 to 1.
    leukoaraiosis_beta: tuple[float, float] = (1.2, 2.5)
    # What an infarct's grey matter has lost on CT by the time of the scan; white matter's share.
    hypoattenuation_range_hu: Range = (1.0, 5.5)
    wm_hypoattenuation: float = 0.6
    # At severity 1: the share of flow that is lost; at severity s it is s^flow_exponent of that.
    flow_loss: float = 0.937
    flow_exponent: float = 0.502
    # Vessels dilate by this share until autoregulation fails, at this severity; then this share of
    # the volume is lost.
    dilation: float = 0.3
    failure_severity: float = 0.694
    volume_loss: float = 0.85


@dataclass(frozen=True)
class StudyPhysics:
    """Which patients a study has, and what happens between their CT and their MRI."""

    # Share of the scans and log-uniform range (mL) of the lesion volume: the groups in which Wang
    # et al. 2020 report their test lesions.
    volume_groups_ml: tuple[tuple[float, Range], ...] = (
        (0.39, (1.2, 10.0)),
        (0.43, (10.0, 50.0)),
        (0.18, (50.0, 160.0)),
    )
    # Share of the patients whose tissue was spared by reperfusion: a deficit and no lesion.
    spared_share: float = 0.0
    # Choice: from the onset to the MRI, log-uniform. In ISLES 2018 it follows the CT within hours.
    hours_range: Range = (2.0, 12.0)
    # Choice: shares of the infarcts that grow and that shrink between CT and MRI, and by how much
    # severity the border moves in tissue that is short of blood.
    growth_share: float = 0.35
    growth_range: Range = (0.01, 0.06)
    shrinkage_share: float = 0.15
    shrinkage_range: Range = (0.01, 0.04)


@dataclass(frozen=True)
class BolusPhysics:
    """The contrast agent's passage.

    Means, spreads and correlations describe gamma-variates (plus a recirculation plateau) fitted by
    least squares to the 156 arterial and 156 venous curves measured on the ISLES 2018 scans
    (joaco18/stroke-seg-ssl, metadata_isles18.json, MIT licence); 149 scans with both fits good.
    The five variables: arterial peak in s after the first frame, log of its full width at half
    maximum in s, log of its skewness alpha, venous lag in s, log of the venous width in s.
    """

    curve_mean: tuple[float, ...] = (15.2, 2.341, 2.205, 6.32, 2.484)
    curve_sd: tuple[float, ...] = (4.77, 0.235, 0.648, 1.465, 0.232)
    # The correlation matrix's entries above its diagonal, row by row.
    curve_correlation: tuple[float, ...] = (
        *(0.69, -0.01, 0.16, 0.65),
        *(-0.41, 0.22, 0.84),
        *(-0.12, -0.32),
        *(0.41,),
    )
    curve_low: tuple[float, ...] = (6.5, 1.90, 0.6, 2.5, 2.05)
    curve_high: tuple[float, ...] = (28.0, 2.95, 2.71, 10.0, 3.05)
    # Some scans of the release have no frame before the contrast arrives.
    no_precontrast_probability: float = 0.05
    # Log-normal enhancement of a vessel without partial volume; the measured curves (35-265 HU)
    # are lower by partial volume.
    peak_median_hu: float = 260.0
    peak_log_sd: float = 0.28
    peak_limits_hu: Range = (130.0, 480.0)
    # Height of the plateau behind the first pass, relative to the peak.
    recirculation: float = 0.22
    recirculation_sd: float = 0.08
    recirculation_limits: Range = (0.05, 0.4)
    # Time constant of the dispersion between artery and tissue, per second of arrival delay.
    dispersion_per_delay: float = 0.2


@dataclass(frozen=True)
class CTPhysics:
    """The CT scanner and the patient's motion in it."""

    # Noise per pixel of a 5 mm slice, times the pixel size, before the reconstruction kernel.
    ctp_noise_hu_mm: float = 17.1
    ncct_noise_hu_mm: float = 9.0
    kernel_sigma_mm: float = 0.75
    # Standard deviations of motion left over after registration: y mm, x mm, rotation degrees.
    drift_sd: tuple[float, float, float] = (0.5, 0.5, 0.3)
    jitter_sd: tuple[float, float, float] = (0.12, 0.12, 0.06)
    jolt_probability: float = 0.35
    jolt_sd: tuple[float, float, float] = (1.2, 1.2, 0.8)
    # Position of the CT without contrast relative to the series.
    ncct_offset_sd: tuple[float, float, float] = (0.3, 0.3, 0.2)


@dataclass(frozen=True)
class MapSoftware:
    """What the scanner's software does to a series before and in the deconvolution."""

    smoothing_sigma_mm: float
    svd_threshold: float
    """Relative to the largest singular value."""
    reference_mtt_s: float
    """The tissue on which the software corrects what its deconvolution loses, see
    ``reference_recovery``."""


@dataclass(frozen=True)
class DiffusionPhysics:
    """What ischaemia does to the water of tissue.

    Choices: the ADC of acute infarcts is 30-50 % below normal, falls within minutes and is normal
    again after one to two weeks; T2 rises over the first day.
    """

    deepest_loss_range: Range = (0.34, 0.44)
    # Severity over which the loss rises: from 27 to 73 % of the deepest from one border's width
    # under the tolerance to one over it.
    border_range: Range = (0.03, 0.09)
    # Relative spread from place to place, and the most that any tissue loses.
    loss_sd: float = 0.15
    most_loss: float = 0.45
    recovery_hours: float = 300.0
    t2_gain_range: Range = (0.55, 1.05)
    t2_hours: float = 4.0


@dataclass(frozen=True)
class RaterPhysics:
    """How raters outline a lesion. All are choices."""

    # Share of the lesion's contrast at which the outline is drawn; the ADC must have lost this
    # share of the lesion's deepest loss.
    cut_range: Range = (0.42, 0.54)
    least_loss_share: float = 0.20
    # The outline's jitter from place to place, and how generous a rater is.
    outline_sd_mm: float = 0.6
    generosity_sd_mm: float = 0.3
    # Raters skip specks, and miss a share of the small spots.
    speck_mm2: float = 12.0
    small_spot_mm2: float = 60.0
    miss_probability: float = 0.3


@dataclass(frozen=True)
class DWIPhysics:
    """The DWI (b about 1000 s/mm2, arbitrary units)."""

    gm_signal: float = 100.0
    wm_signal: float = 84.0
    csf_signal: float = 22.0
    scalp_signal: float = 7.0
    noise_sd: float = 4.5
    # Relative hyperintensity of shine-through that is no lesion.
    shine: float = 0.10
    # Relative spread of the signal beside air (skull base, sinuses): bright spots and dark ones.
    artefact_range: Range = (0.15, 0.5)
    # Weight of each neighbouring slice in a slice's signal.
    slice_leak: float = 0.05
    # Relative spread of the coil's sensitivity, in all MR images.
    bias_sd: float = 0.08
    # Position relative to the CT: y mm, x mm, rotation degrees.
    offset_sd: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class MRIPhysics:
    """Perfusion and diffusion MRI."""

    echo_time_s: float = 0.030
    # Choice: one transverse relaxivity for blood and tissue, 1/(mM s). In patients that of tissue
    # is larger, so that grey matter loses a third of its signal; here it loses a sixth.
    relaxivity_l_per_mmol_s: float = 15.0
    # Choice: concentration (mM) at the first pass in the feeding artery, of about 0.1 mmol/kg.
    arterial_peak_mmol_l: float = 8.0
    b_value_s_per_mm2: float = 1000.0
    # Choice, in 1e-6 mm2/s: usual values of adults are 700-900 for grey and white matter and
    # 2900-3200 for CSF.
    gm_adc: float = 800.0
    wm_adc: float = 750.0
    csf_adc: float = 3000.0
    adc_texture_sd: float = 0.04
    # T2-weighted signal without diffusion weighting; grey matter is 100.
    gm_signal: float = 100.0
    wm_signal: float = 84.0
    csf_signal: float = 220.0
    pwi_noise_sd: float = 1.5
    b0_noise_sd: float = 2.0
    weighted_noise_sd: float = 1.2
    # Choice: motion as a share of a CT series', since the release's frames have been registered.
    motion_share: float = 0.4


@dataclass(frozen=True)
class Physics:
    """All parameters of the phantom, by purpose."""

    densities: Densities = Densities()
    tissue: TissuePhysics = TissuePhysics()
    stroke: StrokePhysics = StrokePhysics()
    # ISLES 2018 and 2017, and ISLES 2024: its lesions have quartiles of 3.9, 12.4 and 38.6 mL, a
    # mean of 31.7 and a maximum of 222, 3 of 149 patients have none, and the MRI comes after days.
    study: StudyPhysics = StudyPhysics()
    follow_up: StudyPhysics = StudyPhysics(
        volume_groups_ml=(
            (0.25, (0.4, 3.9)),
            (0.25, (3.9, 12.4)),
            (0.25, (12.4, 38.6)),
            (0.15, (38.6, 85.0)),
            (0.10, (85.0, 222.0)),
        ),
        spared_share=0.02,
        hours_range=(36.0, 200.0),
        growth_share=0.5,
        growth_range=(0.02, 0.12),
        shrinkage_share=0.1,
    )
    bolus: BolusPhysics = BolusPhysics()
    ct: CTPhysics = CTPhysics()
    ct_maps: MapSoftware = MapSoftware(
        smoothing_sigma_mm=3.43, svd_threshold=0.106, reference_mtt_s=4.86
    )
    diffusion: DiffusionPhysics = DiffusionPhysics()
    dwi: DWIPhysics = DWIPhysics()
    rater: RaterPhysics = RaterPhysics()
    mri: MRIPhysics = MRIPhysics()
    mri_maps: MapSoftware = MapSoftware(
        smoothing_sigma_mm=2.0, svd_threshold=0.06, reference_mtt_s=4.6
    )


DEFAULT_PHYSICS = Physics()
