"""Health Commission (卫生健康委员会): reports of deaths and of births."""
