"""Who resolves which name to where, and what is served at private endpoints."""
