"""Answer requests of Hugging Face Inference Endpoints with the model in this file's folder.

`kgloss publish --handler` adds this file to a model's repository, where it runs the repository's own code and does not
need kgloss-hf.
"""

from __future__ import annotations

from typing import Any

from transformers import pipeline


class EndpointHandler:
    """A handler that loads the model once and answers one request per call.

    Args:
        path: Folder of the repository, passed by the Endpoint.

    Examples:
        >>> import shutil, tempfile
        >>> from pathlib import Path
        >>> from kgloss_hf.hub.remote_code import add_remote_code
        >>> folder = shutil.copytree(getfixture("checkpoint"), Path(tempfile.mkdtemp(), "model"))
        >>> add_remote_code(folder)
        >>> answers = EndpointHandler(str(folder))({"inputs": [" "], "parameters": {"return_types": True}})
        >>> answers[0]["types"]
        []
    """

    def __init__(self, path: str = "") -> None:
        self.text_to_gloss = pipeline(model=path, trust_remote_code=True)  # the code in this folder

    def __call__(self, data: dict[str, Any]) -> Any:
        """Return the answer to a sentence, or a list of answers to a list of sentences.

        Args:
            data: `inputs`, a sentence or a list of sentences, and `parameters`, arguments of the pipeline such as
                `{"num_return_sequences": 3}` (default: none).

        Raises:
            TypeError: As for the pipeline; the Endpoint answers with the message and status 400.
            ValueError: Likewise.
        """
        return self.text_to_gloss(data.get("inputs"), **(data.get("parameters") or {}))
