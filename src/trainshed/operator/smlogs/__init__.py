"""``kubectl smlogs``: what the nodes of a manifest's job wrote."""
