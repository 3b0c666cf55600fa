"""python -m resnext"""

from resnext.cli import main

main()
