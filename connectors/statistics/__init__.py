"""Statistics Bureau (统计局): indicators; takes licences, to count them."""
