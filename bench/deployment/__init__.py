"""The paper's CLINC150 deployment (§4), with the honest figures beside its protocol's."""
