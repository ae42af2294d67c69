"""Neural fields: geometry (signed distance) and radiance (colour)."""
