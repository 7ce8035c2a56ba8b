"""Tokens of a deployment, from the environment: on a command line everybody could read them."""

from __future__ import annotations

from pydantic import SecretStr

from speech_endpoint.config import ModelSettings
from speech_endpoint.deployment.errors import DeploymentError
from speech_endpoint.hub import stored_login


class DeploymentSettings(ModelSettings):
    """The caller's token, and the endpoint's where that is another one."""

    endpoint_hf_token: SecretStr | None = None
    """What the endpoint downloads gated models with; a token that may only read is enough."""

    def own_token(self) -> str:
        """The token that creates things.

        Raises:
            DeploymentError: there is none.
        """
        token = self.token or stored_login()
        if token is None:
            raise DeploymentError(
                "refused", "there is no Hub token: set HF_TOKEN, or run `hf auth login`"
            )
        return token

    def endpoint_token(self) -> str:
        """The token that the endpoint gets as a secret, if it needs one."""
        own = self.endpoint_hf_token
        return own.get_secret_value() if own else self.own_token()
