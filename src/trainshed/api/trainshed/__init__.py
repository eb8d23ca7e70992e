"""Operations of our own: what people ask of a trainer that no AWS service answers."""
