"""High People's Court (高级人民法院): dishonest debtors; takes rights in real estate, for execution."""
