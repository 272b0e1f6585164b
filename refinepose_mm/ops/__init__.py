"""Operations that make the models fast and exact, and know nothing of them."""
