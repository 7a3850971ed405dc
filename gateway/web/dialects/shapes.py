"""What each dialect's answers and errors look like, for `/openapi.json` alone; tests hold the real ones to this.

Where a field may be left out, nobody looked: absence is never 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from gateway.domain import Action, Modality


class BesideOut(BaseModel):
    """What the dialect cannot say."""

    id: str
    action: Action
    degraded: bool
    reasons: list[str]
    not_assessed: list[str]


class BesideSeveralOut(BaseModel):
    """The same of each result; `action` is the strictest of them."""

    id: str
    action: Action
    decisions: list[BesideOut]


class ModerationResult(BaseModel):
    """One string, or all parts together. No applied type: nobody looked, and the 0 beside it means nothing."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Modality]]


class EvolinkSummary(BaseModel):
    """Over all results."""

    risk_level: Literal["low", "medium", "high"]
    flagged: bool
    violations: list[str]
    max_score: float
    max_category: str


class ModerationsOut(BaseModel):
    """OpenAI's, with EvoLink's summary."""

    id: str
    model: str
    results: list[ModerationResult]
    evolink_summary: EvolinkSummary
    modgate: BesideSeveralOut


class OpenAIError(BaseModel):
    """`code` is theirs where they have one for it, else ours; `param` the place in the request."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "service_unavailable_error", "server_error"]
    param: str | None
    code: str


class OpenAIErrorOut(BaseModel):
    """OpenAI's, of any error."""

    error: OpenAIError


Severity = Annotated[int, Field(ge=0, le=7)]


class SeverityOut(BaseModel):
    """0..7; left out where nobody looked."""

    category: Literal["Hate", "SelfHarm", "Sexual", "Violence"]
    severity: Severity | None = None


class BlocklistMatch(BaseModel):
    """A hit on a list at the vendor."""

    blocklistName: str  # noqa: N815
    blocklistItemId: str  # noqa: N815
    blocklistItemText: str  # noqa: N815


class AnalyzeImageOut(BaseModel):
    """Azure's, of an image."""

    categoriesAnalysis: list[SeverityOut]  # noqa: N815
    modgate: BesideOut


class AnalyzeTextOut(AnalyzeImageOut):
    """Azure's, of a text."""

    blocklistsMatch: list[BlocklistMatch]  # noqa: N815


class AzureError(BaseModel):
    """`code` is InvalidRequestBody, ResourceNotFound, TooManyRequests, InternalError or ServerBusy, else the status."""

    code: str
    message: str
    target: str | None = None
    details: list[AzureError]


class AzureErrorOut(BaseModel):
    """Azure's, of any error; the header x-ms-error-code has the code too."""

    error: AzureError


class ModerationLabel(BaseModel):
    """In percent; `ParentName` is empty for the ten at the top."""

    Name: str
    Confidence: float
    ParentName: str
    TaxonomyLevel: int


class NameAndConfidence(BaseModel):
    """In percent."""

    Name: str
    Confidence: float


class NameOnly(BaseModel):
    """A label above this one."""

    Name: str


class ThingLabel(NameAndConfidence):
    """A thing seen. Where in the picture, its other names and groups are not known here."""

    Instances: list[None]
    Parents: list[NameOnly]
    Aliases: list[None]
    Categories: list[None]


class DetectModerationLabelsOut(BaseModel):
    """Rekognition's, of DetectModerationLabels."""

    ModerationLabels: list[ModerationLabel]
    ModerationModelVersion: str
    ContentTypes: list[NameAndConfidence]
    modgate: BesideOut


class DetectLabelsOut(BaseModel):
    """Rekognition's, of DetectLabels."""

    Labels: list[ThingLabel]
    LabelModelVersion: str
    modgate: BesideOut


class RekognitionOut(RootModel[DetectModerationLabelsOut | DetectLabelsOut]):
    """As X-Amz-Target asked."""


class RekognitionErrorOut(BaseModel):
    """Rekognition's, of any error; `Code` and the header x-amzn-ErrorType say `__type` again."""

    type_: str = Field(alias="__type")
    Code: str
    Logref: str = Field(description="The request's id.")
    Message: str


class FlagOut(BaseModel):
    """0..1."""

    name: str
    confidence: float


class FlagsOut(BaseModel):
    """Pixicular's moderation, the surest first."""

    flags: list[FlagOut]


class ThingsOut(BaseModel):
    """Pixicular's names of things, the surest first."""

    labels: list[FlagOut]


class MetaOut(BaseModel):
    """How long it took, and the request's id."""

    processingTimeMs: int  # noqa: N815
    requestId: str  # noqa: N815


class PixicularOut(BaseModel):
    """A service that was not asked for, or that nobody did, is left out."""

    moderation: FlagsOut | None = Field(default=None, alias="detect-moderation")
    things: ThingsOut | None = Field(default=None, alias="detect-labels")
    meta: MetaOut
    modgate: BesideOut


class SieveCategory(BaseModel):
    """0..1; 1 is the threshold of what the policy never stops."""

    score: float
    threshold: float
    flagged: bool


class SieveOut(BaseModel):
    """Sieve's; a category that nobody looked at is left out. Tier 0 is a list, 1 a model here, 2 a vendor."""

    request_id: str
    action: Literal["allow", "flag", "block"]
    flagged: bool
    categories: dict[str, SieveCategory]
    pipeline_tier: int | None
    latency_ms: float
    modgate: BesideOut


class PlainError(BaseModel):
    """`code` is rate_limit_exceeded with 429, else ours."""

    code: str
    message: str
    request_id: str


class PlainErrorOut(BaseModel):
    """Pixicular's and Sieve's, of any error."""

    error: PlainError
