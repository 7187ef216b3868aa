"""`python -m mimdata.mim`: `mimdata train` for launchers: torchrun --nproc-per-node 2 -m mimdata.mim --dataset …"""

from mimdata.mim.commands.train import train

if __name__ == "__main__":
    train()
