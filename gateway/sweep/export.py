"""x"""
from pathlib import Path
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.taxonomy import Taxonomy
EVERYTHING = load_policy(Path(__file__).with_name("everything.yaml"), Taxonomy.from_file(TAXONOMY), Messages.from_file(MESSAGES))
