"""Policy and context on decoded records. Pure; state is explicit and bounded."""
