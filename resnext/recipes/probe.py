"""A linear probe: logistic regression on features that loaded weights compute once.

Paper: Kornblith et al. 2019, https://arxiv.org/abs/1805.08974, section 3 (logistic regression by L-BFGS). Here the
strength of the regularisation is scikit-learn's default, C = 1, and is not searched for.
Command: resnext train DATA --weights auto --recipe probe
Cost: one pass over the images, without gradients.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="probe",
    epochs=1,
    learning_rate=1.0,  # not used: L-BFGS chooses its steps
    optimizer="lbfgs",
    test_crop=0.875,
    flip=False,
)
PUBLISHED: tuple[Published, ...] = ()
